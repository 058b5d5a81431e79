/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"

/*
 * System call filters (seccomp(2)): a process loads one before it reads what
 * others wrote, and cannot take it off again.
 *
 * A call that is on no list fails with ENOSYS, as on a kernel that does not
 * have it, since that is what libraries know how to do without; the kernel logs
 * it (audit type 1326, with process and number). A call on the deadly list ends
 * the process by SIGSYS: nothing of ours makes it, so who does has taken the
 * process over. With a listener, a call that is on no list waits until whoever
 * holds the listener has looked at it.
 */

/* Lists of system calls, each ended by FILTER_END. */
#define FILTER_END (-1)
extern const int filter_run[];     /* memory, time, open descriptors, the end */
extern const int filter_files[];   /* by path */
extern const int filter_sockets[]; /* of the families that are given */
extern const int filter_children[]; /* fork, wait, kill, pipes */
extern const int filter_clock[];    /* whether the clock is synchronised */
extern const int filter_module[];   /* what PKCS#11 modules want besides */
extern const int filter_deadly[];   /* into other processes, or the kernel */

struct filter_rules {
    const int *const *allowed; /* lists, NULL-ended */
    const int *deadly;         /* or NULL */
    char *const *more;         /* names of further allowed calls, or NULL */
    const int *families;       /* of sockets that may be made */
    size_t n_families;
    bool all_calls;     /* no list counts; the rest still does */
    bool all_families;  /* of sockets */
    bool writable_code; /* memory may be writable and executable */
    bool devices;       /* any ioctl(); else what isatty() asks */
    bool listen;        /* give me the listener */
};

/**
 * filter_load() - confine this thread and everything that it starts
 * @ret_listener: with @rules->listen, the descriptor; -1 if this process is
 *                itself below a listener, of which there can be only one. Else
 *                it may be NULL.
 *
 * The process must have no_new_privs (confine_process()). Where the kernel can,
 * writable code is refused by PR_SET_MDWE, too.
 *
 * Return: 0; negative errno with *reterr.
 */
int filter_load(const struct filter_rules *rules, int *ret_listener,
                struct errmsg *reterr) MUST_CHECK;

/* filter_knows() - whether there is a system call of that name. */
bool filter_knows(const char *name);

/* filter_is_deadly() - whether @call is on filter_deadly[]. */
bool filter_is_deadly(int call);
