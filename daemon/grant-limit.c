/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/grant-limit.h"

#define MINUTE_US 60000000ULL

/* The uid's bucket, or a full one in the place of the one that is the fullest.
 */
static struct bucket *find(struct grant_limit *l, uid_t uid)
{
    size_t fullest = 0;

    for (size_t i = 0; i < GRANT_LIMIT_UIDS; i++) {
        if (l->uids[i].bucket.full > 0 && l->uids[i].uid == uid)
            return &l->uids[i].bucket;
        if (l->uids[i].bucket.full < l->uids[fullest].bucket.full)
            fullest = i;
    }
    l->uids[fullest].uid = uid;
    l->uids[fullest].bucket = (struct bucket){ 0 };
    return &l->uids[fullest].bucket;
}

uint64_t grant_limit_take(struct grant_limit *l, uid_t uid, size_t octets,
                          uint64_t now_us)
{
    uint64_t n = 1 + octets / GRANT_LIMIT_OCTETS;
    struct bucket *b;
    uint64_t every_us;

    if (l->per_minute == 0)
        return MINUTE_US / 1000;
    if (n > l->per_minute)
        n = l->per_minute; /* else it would never be */
    b = find(l, uid);
    every_us = MINUTE_US / l->per_minute;
    if (bucket_take(b, now_us, l->per_minute, every_us, n))
        return 0;
    return bucket_wait(b, now_us, l->per_minute, every_us, n) / 1000 + 1;
}
