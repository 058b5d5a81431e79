/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/open-orders.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#define FORGET_MS 1000

void open_orders_deinit(struct open_orders *o)
{
    free(o->items);
    *o = (struct open_orders){ 0 };
}

static int by_value(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;

    return strcmp(*x, *y);
}

/* A CSR may name them in another order. False: no memory. */
static bool digest(const struct identifiers *names, uint8_t ret[static 32])
{
    CLEANUP_FREE const char **sorted = calloc(names->n + 1, sizeof(char *));
    crypto_hash_sha256_state h;

    if (!sorted)
        return false;
    for (size_t i = 0; i < names->n; i++)
        sorted[i] = names->items[i].value;
    qsort(sorted, names->n, sizeof(char *), by_value);
    (void)crypto_hash_sha256_init(&h);
    for (size_t i = 0; i < names->n; i++)
        (void)crypto_hash_sha256_update(&h, (const uint8_t *)sorted[i],
                                        strlen(sorted[i]) + 1);
    (void)crypto_hash_sha256_final(&h, ret);
    return true;
}

static struct open_order *oldest(const struct open_orders *o,
                                 const uint8_t names[static 32])
{
    struct open_order *found = NULL;

    for (size_t i = 0; i < o->n; i++) {
        struct open_order *x = &o->items[i];

        if (memcmp(x->names, names, 32) == 0 && (!found || x->ms < found->ms))
            found = x;
    }
    return found;
}

/* Now and then: with many open, that would be most of what an order costs. */
static void forget_old(struct open_orders *o, uint64_t now_ms)
{
    size_t kept = 0;

    if (now_ms < o->forgot_ms + FORGET_MS)
        return;
    o->forgot_ms = now_ms;
    for (size_t i = 0; i < o->n; i++) {
        if (o->items[i].ms + OPEN_ORDERS_KEEP_MS > now_ms)
            o->items[kept++] = o->items[i];
    }
    o->n = kept;
}

void open_orders_lost(struct open_orders *o, uint64_t now_ms)
{
    o->lost_ms = now_ms;
}

void open_orders_begin(struct open_orders *o, const struct identifiers *names,
                       uint64_t now_ms)
{
    struct open_order order = { .ms = now_ms };
    struct open_order *more;

    if (!digest(names, order.names)) {
        open_orders_lost(o, now_ms);
        return;
    }
    forget_old(o, now_ms);
    more = o->n < OPEN_ORDERS_MAX
               ? reallocarray(o->items, o->n + 1, sizeof(*more))
               : NULL;
    if (!more) {
        open_orders_lost(o, now_ms);
        return;
    }
    o->items = more;
    o->items[o->n++] = order;
}

void open_orders_finish(struct open_orders *o, const struct identifiers *names)
{
    uint8_t hash[32];
    struct open_order *order;

    if (!digest(names, hash))
        return; /* it stays open for a while: that is safe */
    order = oldest(o, hash);
    if (order)
        *order = o->items[--o->n];
}

size_t open_orders_count(const struct open_orders *o, uint64_t drain_ms,
                         uint64_t now_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n; i++)
        n += o->items[i].ms + drain_ms > now_ms;
    return n;
}

bool open_orders_unknown(const struct open_orders *o, uint64_t drain_ms,
                         uint64_t now_ms)
{
    return o->lost_ms && o->lost_ms + drain_ms > now_ms;
}
