/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/errmsg.h"

/*
 * A process of ours that starts others, so that the one which reads what comes
 * from outside need not be able to. It is forked before its owner confines
 * itself, holds no state but the list of those that run, and takes requests of
 * a fixed size: start one under this id, with this descriptor; end it. It says
 * when one has ended. An id has one process at a time: the next is started when
 * the former was reaped, never before.
 */

struct nursery {
    int fd; /* of requests and events; -1: none */
    pid_t pid;
};

#define NURSERY_NONE                                                           \
    {                                                                          \
        -1, 0                                                                  \
    }

/**
 * nursery_start_fn - start a process, in the nursery
 * @id:  which, as in nursery_spawn()
 * @arg: as in nursery_spawn()
 * @fd:  borrowed
 *
 * Return: 0; negative errno.
 */
typedef int (*nursery_start_fn)(uint32_t id, uint32_t arg, int fd,
                                void *userdata, pid_t *ret_pid);

struct nursery_options {
    const char *name; /* of the process; at most 15 characters */
    uint32_t n_ids;   /* ids are below this */
    nursery_start_fn start;
    void *userdata;
    const int *keep; /* descriptors that what is started shall inherit */
    size_t n_keep;
    bool end_all; /* with the owner; else each ends by itself */
};

/**
 * nursery_open() - fork it
 *
 * All signals are blocked there, and every descriptor but the standard ones and
 * @keep closed: @start says what those that it starts get of that. It ends when
 * its socket does, in whatever way the owner went.
 *
 * Return: 0; negative errno.
 */
int nursery_open(const struct nursery_options *options,
                 struct nursery *ret) MUST_CHECK;

/* nursery_close() - and wait until it has ended: with end_all, with all that
 * were left. */
void nursery_close(struct nursery *n);

/* nursery_spawn() - ask for a process; @fd stays the caller's. Return: 0;
 * negative errno: it cannot be asked. */
int nursery_spawn(struct nursery *n, uint32_t id, uint32_t arg,
                  int fd) MUST_CHECK;

/* nursery_end() - SIGKILL to it and its process group, if it still runs. */
void nursery_end(struct nursery *n, uint32_t id);

enum nursery_kind {
    NURSERY_UNSET = 0,
    NURSERY_STARTED,     /* value: the pid */
    NURSERY_NOT_STARTED, /* value: negative errno */
    NURSERY_ENDED,       /* value: the status of waitpid(2) */
};

struct nursery_event {
    uint32_t kind;
    uint32_t id;
    int32_t value;
};

/* nursery_receive() - Return: 0; -EAGAIN: nothing to read; another negative
 * errno: the nursery is gone. */
int nursery_receive(struct nursery *n, struct nursery_event *ret) MUST_CHECK;
