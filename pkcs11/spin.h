/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Waiting for the next request. Waking a thread on another CPU costs more than
 * anything but the signature itself, so one thread of all our processes, which
 * has just answered, goes on looking for SPIN_US before it sleeps: a client
 * that asks again at once finds it awake. That is for the one client who asks
 * again and again: with several it would take the CPU from those at work.
 */

#define SPIN_US 50
#define SPIN_STREAK 8 /* requests that came while nobody was at work */

/* Lies in memory that all worker processes share. */
struct spin {
    _Atomic uint32_t taken;
    _Atomic uint32_t busy; /* threads at work */
    _Atomic uint32_t streak;
};

/* spin_is_useful() - there is another CPU, where the client works meanwhile. */
int spin_is_useful(void);

/* spin_recv() - as recv(2) with MSG_TRUNC. @hot: the caller has just answered.
 * Whoever got something is at work until spin_done(). */
ssize_t spin_recv(struct spin *spin, int fd, void *buf, size_t len, int hot);
void spin_done(struct spin *spin);
