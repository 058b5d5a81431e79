/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A token bucket: a token comes back @every, and at most @burst are there. All
 * times are of one clock and in one unit, the caller's. Zeroed, it is full.
 */
struct bucket {
    uint64_t full; /* when all tokens are there again */
};

/* bucket_wait() - until there are @n tokens, at most @burst; 0: they are now.
 */
static inline uint64_t bucket_wait(const struct bucket *b, uint64_t now,
                                   uint64_t burst, uint64_t every, uint64_t n)
{
    uint64_t after = (b->full > now ? b->full : now) + n * every;
    uint64_t limit = now + burst * every;

    return after > limit ? after - limit : 0;
}

/* bucket_take() - that many, if they are there. */
static inline bool bucket_take(struct bucket *b, uint64_t now, uint64_t burst,
                               uint64_t every, uint64_t n)
{
    if (bucket_wait(b, now, burst, every, n) > 0)
        return false;
    b->full = (b->full > now ? b->full : now) + n * every;
    return true;
}
