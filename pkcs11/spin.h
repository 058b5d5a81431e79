/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Waiting for the next request. Waking a thread on another CPU costs more than
 * anything but the signature itself, so one thread of all our processes, which
 * has just answered, goes on looking for SPIN_US before it sleeps: a client
 * that asks again at once finds it awake. More than one would take the CPU from
 * those who work.
 */

#define SPIN_US 50

/* Lies in memory that all worker processes share. */
struct spin {
    _Atomic uint32_t taken;
};

/* spin_is_useful() - there is another CPU, where the client works meanwhile. */
int spin_is_useful(void);

/* spin_recv() - as recv(2) with MSG_TRUNC. @hot: the caller has just answered.
 */
ssize_t spin_recv(struct spin *spin, int fd, void *buf, size_t len, int hot);
