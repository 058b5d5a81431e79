/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/*
 * What waits while signing for an account is held: each for a bounded time,
 * and in the order in which it came.
 */

struct hold_entry;

struct hold {
    struct hold_entry *first, *last;
    size_t n;
};

/* @released: false: it waited too long, or the daemon stops. */
typedef void (*hold_fn)(bool released, void *userdata);

/* hold_add() - @fn is called exactly once, never from within this, unless
 * hold_cancel() comes before. Return: 0 with *ret; negative errno. */
int hold_add(struct hold *h, sd_event *event, uint64_t max_ms, hold_fn fn,
             void *userdata, struct hold_entry **ret) MUST_CHECK;
void hold_cancel(struct hold_entry *e);

/* hold_release() - all that wait now. They may be added again meanwhile. */
void hold_release(struct hold *h, bool released);
