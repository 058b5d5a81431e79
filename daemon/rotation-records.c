/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rotation-records.h"

#include <string.h>

#include "daemon/params.h"

static const char *const work_names[] = {
    [ROTATION_WORK_NONE] = "none",
    [ROTATION_WORK_PUBLISH] = "publish",
    [ROTATION_WORK_VERIFY] = "verify",
    [ROTATION_WORK_REMOVE_OLD] = "remove-old",
    [ROTATION_WORK_REMOVE_NEW] = "remove-new",
};

_Static_assert(ARRAY_LEN(work_names) == ROTATION_WORK_COUNT,
               "a name for each work");

const char *rotation_work_name(enum rotation_work w)
{
    return work_names[(size_t)w < ARRAY_LEN(work_names) ? w : 0];
}

static const char *const claim_names[] = {
    [ROTATION_CLAIM_UNSET] = "",
    [ROTATION_CLAIM_PUBLISHING] = "publishing",
    [ROTATION_CLAIM_PUBLISHED] = "published",
    [ROTATION_CLAIM_VERIFIED] = "verified",
    [ROTATION_CLAIM_LACKING] = "lacking",
    [ROTATION_CLAIM_OLD_REMOVED] = "old-removed",
    [ROTATION_CLAIM_NEW_REMOVED] = "new-removed",
};

_Static_assert(ARRAY_LEN(claim_names) == ROTATION_CLAIM_COUNT,
               "a name for each claim");

enum rotation_claim rotation_claim_parse(const char *name)
{
    for (size_t i = 1; i < ARRAY_LEN(claim_names); i++) {
        if (strcmp(name, claim_names[i]) == 0)
            return (enum rotation_claim)i;
    }
    return ROTATION_CLAIM_UNSET;
}

bool rotation_claim_needs_all(enum rotation_claim c)
{
    return c == ROTATION_CLAIM_PUBLISHED || c == ROTATION_CLAIM_VERIFIED ||
           c == ROTATION_CLAIM_OLD_REMOVED;
}

/* ---- what is to be done ---- */

bool rotation_switches_first(const struct store_rotation *x)
{
    return x->old_lost || x->kind == ROTATION_KIND_COMPROMISED ||
           x->kind == ROTATION_KIND_ADOPT;
}

/* After the switch: what an emergency has put off, then the grace. */
static enum rotation_work work_switched(const struct store_rotation *x,
                                        bool proven, int64_t now_s,
                                        int64_t *ret_wait_s)
{
    int64_t end_s = x->since_s + (x->old_lost ? 0 : x->grace_s);

    if (!x->confirmed_s || !proven || x->old_records_removed_s)
        return ROTATION_WORK_NONE;
    if (!x->published_s)
        return ROTATION_WORK_PUBLISH;
    if (!x->verified_s)
        return ROTATION_WORK_VERIFY;
    if (now_s >= end_s)
        return ROTATION_WORK_REMOVE_OLD;
    *ret_wait_s = end_s - now_s;
    return ROTATION_WORK_NONE;
}

enum rotation_work rotation_work(const struct store_rotation *x,
                                 const struct rotation_run *run, bool proven,
                                 int64_t now_s, int64_t *ret_wait_s)
{
    *ret_wait_s = 0;
    if (!x->key_bound)
        return ROTATION_WORK_NONE;
    if (x->state == ROTATION_KEY_GENERATED)
        return rotation_switches_first(x) ||
                       (x->kind == ROTATION_KIND_MOVE && !x->new_url)
                   ? ROTATION_WORK_NONE
                   : ROTATION_WORK_PUBLISH;
    if (x->state == ROTATION_RECORDS_PUBLISHED)
        return ROTATION_WORK_VERIFY;
    if (x->state == ROTATION_RECORDS_VERIFIED && now_s < x->caches_s)
        *ret_wait_s = x->caches_s - now_s;
    if (x->state == ROTATION_SWITCHED)
        return work_switched(x, proven, now_s, ret_wait_s);
    if (x->state == ROTATION_ABORTING && x->published_s &&
        (run->old_key == ROTATION_YES || x->kind == ROTATION_KIND_MOVE))
        return ROTATION_WORK_REMOVE_NEW;
    return ROTATION_WORK_NONE;
}

int rotation_add_record(struct store_rotation *x)
{
    switch (x->state) {
    case ROTATION_PLANNED:
    case ROTATION_KEY_GENERATED:
    case ROTATION_RECORDS_PUBLISHED:
        x->key_bound = true;
        return 0;
    case ROTATION_RECORDS_VERIFIED:
    case ROTATION_DRAINING:
        x->key_bound = true;
        if (rotation_switches_first(x))
            return 0;
        x->state = ROTATION_RECORDS_PUBLISHED;
        x->text = params_borrow("a record was added or changed");
        return 0;
    case ROTATION_SWITCHING:
    case ROTATION_UNRESOLVED:
    case ROTATION_ACCOUNT_LOST:
        return ROTATION_E_HELD;
    case ROTATION_SWITCHED:
    case ROTATION_CLEANED:
    case ROTATION_DONE:
    case ROTATION_ABORTING:
    case ROTATION_ABORTED:
    case ROTATION_SWITCH_REFUSED:
    case ROTATION_UNSET:
    case ROTATION_STATE_COUNT:
        break;
    }
    return 0; /* it is one of the key that the account has, or keeps */
}

/* ---- what came of it ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What stood before may be in caches for its TTL after the last look of
 * anybody who still saw it, which is not before all servers have the new. */
static void claim_publishing(struct store_rotation *x, int64_t ttl_s,
                             int64_t now_s)
{
    if (!x->published_s)
        x->published_s = now_s;
    x->caches_s = later(x->caches_s, x->published_s + ttl_s);
}

static void claim_verified(struct store_rotation *x, int64_t ttl_s,
                           int64_t now_s)
{
    ttl_s = later(ttl_s, x->caches_s - x->published_s);
    if (x->state == ROTATION_RECORDS_PUBLISHED)
        x->state = ROTATION_RECORDS_VERIFIED;
    x->verified_s = now_s;
    x->caches_s = now_s + later(ttl_s, 0);
}

static bool is_work_of(enum rotation_work work, enum rotation_claim claim)
{
    switch (claim) {
    case ROTATION_CLAIM_PUBLISHING:
    case ROTATION_CLAIM_PUBLISHED:
        return work == ROTATION_WORK_PUBLISH || work == ROTATION_WORK_VERIFY;
    case ROTATION_CLAIM_VERIFIED:
        return work == ROTATION_WORK_VERIFY;
    case ROTATION_CLAIM_LACKING:
        return work != ROTATION_WORK_NONE;
    case ROTATION_CLAIM_OLD_REMOVED:
        return work == ROTATION_WORK_REMOVE_OLD;
    case ROTATION_CLAIM_NEW_REMOVED:
        return work == ROTATION_WORK_REMOVE_NEW;
    case ROTATION_CLAIM_UNSET:
    case ROTATION_CLAIM_COUNT:
        break;
    }
    return false;
}

/* Why it was aborted is not forgotten over what is left to do. */
static bool keeps_reason(const struct store_rotation *x)
{
    return x->state == ROTATION_ABORTING && x->reason &&
           strncmp(x->reason, "records-", strlen("records-")) != 0;
}

int rotation_claim(const struct store_rotation *x, enum rotation_work work,
                   enum rotation_claim claim, const struct rotation_claimed *c,
                   int64_t now_s, struct store_rotation *ret)
{
    if (!is_work_of(work, claim))
        return ROTATION_E_UNASKED;
    *ret = *x;
    ret->text = params_borrow(c->text);
    if (!keeps_reason(x))
        ret->reason = params_borrow(c->reason);
    else if (claim != ROTATION_CLAIM_LACKING)
        ret->text = x->text;
    if (claim == ROTATION_CLAIM_PUBLISHING) {
        claim_publishing(ret, c->ttl_s, now_s);
    } else if (claim == ROTATION_CLAIM_PUBLISHED) {
        claim_publishing(ret, 0, now_s);
        if (x->state == ROTATION_KEY_GENERATED)
            ret->state = ROTATION_RECORDS_PUBLISHED;
    } else if (claim == ROTATION_CLAIM_VERIFIED) {
        claim_verified(ret, c->ttl_s, now_s);
    } else if (claim == ROTATION_CLAIM_OLD_REMOVED) {
        ret->old_records_removed_s = now_s;
        ret->state = ROTATION_CLEANED;
    } else if (claim == ROTATION_CLAIM_NEW_REMOVED) {
        ret->published_s = ret->verified_s = ret->caches_s = 0;
    }
    return 0;
}
