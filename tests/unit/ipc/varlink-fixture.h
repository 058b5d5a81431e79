/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipc/varlink-server.h"

/*
 * A server on a socket in a directory of its own, in the test's process and
 * thread: fixture_spin() runs its event loop until it has nothing to do.
 *
 * org.example.Test:
 *   Echo     answers its parameters at once
 *   Hold     keeps the call in `held`; fixture_release() answers the oldest
 *   Stream   with "more": three answers; without: ExpectedMore
 *   Big      answers {"text": `n` times "x"}
 *   Slot     counts its calls on one connection, in the connection's slot
 *   Missing  is in the interface and not implemented
 *   Private  is refused by authorise()
 */

#define HELD_MAX 256

struct fixture {
    sd_event *event;
    struct varlink_server *server;
    struct varlink_interface interface;
    struct varlink_interface other; /* added, but not served on the socket */
    char dir[32];
    char path[64];
    char first_path[64];
    struct varlink_call *held[HELD_MAX];
    size_t n_held;
    unsigned n_gone;
    unsigned n_authorised;
    unsigned n_freed_slots;
    bool idle_told;
    uid_t last_uid;
    bool admit;
};

/* Zero limits: 64 connections and 64 requests. */
void fixture_start(struct fixture *f, struct varlink_limits limits);
void fixture_stop(struct fixture *f);
/* Another socket for the same, at f->path from now on. */
void fixture_listen(struct fixture *f, const char *name, unsigned share);

void fixture_spin(struct fixture *f);
int fixture_connect(const struct fixture *f);
/* @text with its NUL. */
void fixture_send(int fd, const char *text);
void fixture_send_bytes(int fd, const void *data, size_t len);
/* The next answer on @fd, after spinning, is exactly @text. */
void fixture_expect(struct fixture *f, int fd, const char *text);
void fixture_expect_nothing(struct fixture *f, int fd);
void fixture_expect_closed(struct fixture *f, int fd);
/* Answer the oldest held call with @text. */
void fixture_release(struct fixture *f, const char *text);

#define ECHO(v)                                                                \
    "{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"v\":" #v "}}"
#define HOLD "{\"method\":\"org.example.Test.Hold\"}"
#define ANSWER(v) "{\"parameters\":{\"v\":" #v "}}"
