/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"

/*
 * Other programs: no shell, no search path, and secrets through descriptors
 * alone.
 */

struct run_program {
    const char *path;
    const char *const *argv; /* ended by NULL */
    const char *const *env;  /* ended by NULL; NULL: ours */
    int in;                  /* its stdin; -1: /dev/null */
    int out;                 /* its stdout; -1: ours, on stderr */
    int extra;               /* its descriptor RUN_EXTRA_FD; -1: none */
    /* Another user, with no further groups but @group (0: none). */
    bool as_user;
    uid_t uid;
    gid_t gid, group;
    /* A session of its own: no hand on our terminal, which another user's
     * program could type into. It gets SIGTERM when we end. */
    bool session;
    const char *folder; /* made first, as that user, 0700; NULL: none */
};
#define RUN_EXTRA_FD 3

/* run_start() - Return: 0; negative errno. That it could not be executed is
 * exit status 127. */
int run_start(const struct run_program *p, pid_t *ret) MUST_CHECK;

/* run_wait() - Return: the exit status; 128 and a signal's number. */
int run_wait(pid_t pid);

/* run_capture() - run_start() with its stdout appended to @out, and run_wait().
 * Return: the exit status; negative errno. */
int run_capture(const struct run_program *p, size_t max,
                struct buf *out) MUST_CHECK;
