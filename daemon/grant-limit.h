/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/bucket.h"

/*
 * RequestsPerMinute=: how many requests of a uid are granted. Each is a line of
 * the audit log, whose oldest file is deleted when there are too many: a client
 * that may sign at all could else sign until nothing older is left. So a long
 * line counts as several: one more for each GRANT_LIMIT_OCTETS of what the
 * client chooses in it.
 *
 * A bounded table: should more uids than that sign in one minute, the one that
 * is the furthest from its limit is forgotten.
 */
#define GRANT_LIMIT_UIDS 256
#define GRANT_LIMIT_OCTETS 256

struct grant_limit {
    unsigned per_minute; /* and at once; 0: none */
    struct {
        struct bucket bucket;
        uid_t uid;
    } uids[GRANT_LIMIT_UIDS]; /* a full bucket: free */
};

/* grant_limit_take() - @octets: names and URL. Return: 0: granted; else ms
 * until it may be. */
uint64_t grant_limit_take(struct grant_limit *l, uid_t uid, size_t octets,
                          uint64_t now_us);
