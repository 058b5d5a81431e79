/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "acme/identifiers.h"

/*
 * Orders that an account's clients have begun and not finished: from the
 * signature of newOrder until that of a finalize for the same names. A key
 * authorization of an open order fails when the account's key changes. What
 * happens to an order otherwise cannot be seen here, so each is forgotten after
 * OPEN_ORDERS_KEEP_MS, or a second later. Times are monotonic milliseconds.
 */

#define OPEN_ORDERS_MAX 4096
#define OPEN_ORDERS_KEEP_MS 600000

struct open_order {
    uint8_t names[32]; /* SHA-256 of the sorted names */
    uint64_t ms;       /* begun then */
};

struct open_orders {
    struct open_order *items;
    size_t n;
    uint64_t lost_ms;   /* one that could not be kept was begun then */
    uint64_t forgot_ms; /* old ones were looked for then */
};

void open_orders_deinit(struct open_orders *o);

/* open_orders_begin() - an order that cannot be kept counts all the same. */
void open_orders_begin(struct open_orders *o, const struct identifiers *names,
                       uint64_t now_ms);
/* open_orders_finish() - the oldest of these names, if there is one. */
void open_orders_finish(struct open_orders *o, const struct identifiers *names);

/* open_orders_lost() - some may be open that nobody knows of. */
void open_orders_lost(struct open_orders *o, uint64_t now_ms);

/* open_orders_count() - begun at most @drain_ms ago and not finished. */
size_t open_orders_count(const struct open_orders *o, uint64_t drain_ms,
                         uint64_t now_ms);
/* open_orders_unknown() - nor is it known of all that they are. */
bool open_orders_unknown(const struct open_orders *o, uint64_t drain_ms,
                         uint64_t now_ms);
