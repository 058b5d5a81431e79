/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/*
 * org.acmeguardian.Signer over the real protocol, in processes of its own, with
 * the listening socket kept open as by systemd: a process that ends is
 * followed by another one.
 *
 * Signatures tell what was asked for. The account's name says what happens:
 *
 *   "hang"        no answer
 *   "die"         the process ends instead of answering, `deaths` times
 *   "last"        the process ends after answering
 *   "slow"        the answer takes 100 ms
 *   "broken"      answers that lack their members
 *   "error:NAME"  the error of that name, see fake-signer.c
 */

/* Shared with the processes. */
struct fake_counts {
    _Atomic unsigned starts;
    _Atomic unsigned calls;
    _Atomic unsigned deaths; /* that are still to be died */
    _Atomic unsigned connections;
};

struct fake_signer {
    char dir[32];
    char path[64];
    int fd;
    pid_t pid;
    struct fake_counts *counts;
};

void fake_signer_start(struct fake_signer *s);
void fake_signer_stop(struct fake_signer *s);
