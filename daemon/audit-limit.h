/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/bucket.h"

/*
 * How many refusals may be written (daemon/audit.h has the numbers), and how
 * many were not. A bounded table: of many uids, those not seen for longest are
 * counted together.
 */

#define AUDIT_LIMIT_UIDS 256

struct audit_limit {
    struct bucket all; /* in ms */
    struct {
        struct bucket bucket;
        uint64_t seen_ms; /* 0: unused */
        uint64_t count;   /* not written */
        uid_t uid;
    } uids[AUDIT_LIMIT_UIDS];
    uint64_t others; /* not written, of uids no longer in the table */
};

/* audit_limit_take() - true: write it; false: it was counted. */
bool audit_limit_take(struct audit_limit *l, uid_t uid, uint64_t now_ms);
void audit_limit_count(struct audit_limit *l, uid_t uid, uint64_t now_ms);

/**
 * audit_limit_next() - the next count to be written, and forgotten
 * @ret_uid: (uid_t)-1 for those that are counted together
 *
 * Return: the count; 0: no more.
 */
uint64_t audit_limit_next(struct audit_limit *l, uid_t *ret_uid);

/* audit_limit_join() - what is left is counted together. */
void audit_limit_join(struct audit_limit *l);
