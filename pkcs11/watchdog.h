/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/cleanup.h"

/*
 * PKCS#11 calls cannot be cancelled, and one that hangs blocks even questions
 * about the token's health. So a thread looks at the others, and ends the
 * process when one of them is late. It sleeps for as long as nobody works.
 */

#define WATCHDOG_WATCHES_MAX 64

struct watchdog;

struct watch {
    struct watchdog *dog;
    _Atomic uint64_t deadline_ms; /* 0: not at work */
};

struct watchdog {
    struct watch watches[WATCHDOG_WATCHES_MAX];
    int wake_fd;
    _Atomic int asleep;
    unsigned tick_ms;
    void (*late)(void *userdata); /* does not return */
    void *userdata;
};

/* watchdog_start() - in place; lives as long as the process.
 * Return: 0; negative errno. */
int watchdog_start(struct watchdog *dog, uint64_t timeout_ms,
                   void (*late)(void *userdata), void *userdata) MUST_CHECK;

void watch_start(struct watch *w, uint64_t timeout_ms);
void watch_stop(struct watch *w);
