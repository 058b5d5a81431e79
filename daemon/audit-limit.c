/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit-limit.h"

#include "daemon/audit.h"

/* The uid's entry; a new one takes the place of the one unused for longest. */
static size_t find(struct audit_limit *l, uid_t uid, uint64_t now_ms)
{
    size_t oldest = 0;

    for (size_t i = 0; i < AUDIT_LIMIT_UIDS; i++) {
        if (l->uids[i].seen_ms > 0 && l->uids[i].uid == uid) {
            l->uids[i].seen_ms = now_ms;
            return i;
        }
        if (l->uids[i].seen_ms < l->uids[oldest].seen_ms)
            oldest = i;
    }
    l->others += l->uids[oldest].count;
    l->uids[oldest].bucket = (struct bucket){ 0 };
    l->uids[oldest].seen_ms = now_ms;
    l->uids[oldest].count = 0;
    l->uids[oldest].uid = uid;
    return oldest;
}

bool audit_limit_take(struct audit_limit *l, uid_t uid, uint64_t now_ms)
{
    size_t i = find(l, uid, now_ms);

    /* The uid's own limit first: what it may not write costs nobody else. */
    if (bucket_take(&l->uids[i].bucket, now_ms, AUDIT_REFUSALS_BURST,
                    AUDIT_REFUSAL_EVERY_MS, 1) &&
        bucket_take(&l->all, now_ms, AUDIT_ALL_REFUSALS_BURST,
                    AUDIT_ALL_REFUSAL_EVERY_MS, 1))
        return true;
    l->uids[i].count++;
    return false;
}

void audit_limit_count(struct audit_limit *l, uid_t uid, uint64_t now_ms)
{
    l->uids[find(l, uid, now_ms)].count++;
}

uint64_t audit_limit_next(struct audit_limit *l, uid_t *ret_uid)
{
    uint64_t count = l->others;

    *ret_uid = (uid_t)-1;
    if (count > 0) {
        l->others = 0;
        return count;
    }
    for (size_t i = 0; i < AUDIT_LIMIT_UIDS; i++) {
        count = l->uids[i].count;
        if (count > 0) {
            l->uids[i].count = 0;
            *ret_uid = l->uids[i].uid;
            return count;
        }
    }
    return 0;
}

void audit_limit_join(struct audit_limit *l)
{
    for (size_t i = 0; i < AUDIT_LIMIT_UIDS; i++) {
        l->others += l->uids[i].count;
        l->uids[i].count = 0;
    }
}
