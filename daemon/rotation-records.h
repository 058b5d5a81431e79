/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/rotation.h"

/*
 * Records in a rotation of an account whose records name its key, as pure
 * functions: those of the new key are published and seen on every server before
 * the switch, those of the old one are gone before it is destroyed. An account
 * whose records name its URL has no work here.
 *
 * The daemon reaches no name server: guardianctl does the work and says what
 * came of it. What it says is held against the records as they are now, and
 * whose servers need not have been seen is a person's word (RotationAccept).
 */

enum rotation_work {
    ROTATION_WORK_NONE = 0,
    ROTATION_WORK_PUBLISH, /* the new key's records, where they are missing */
    ROTATION_WORK_VERIFY,  /* the same, until all servers have them */
    ROTATION_WORK_REMOVE_OLD,
    ROTATION_WORK_REMOVE_NEW, /* aborting */
    ROTATION_WORK_COUNT
};
const char *rotation_work_name(enum rotation_work w); /* "remove-old" */

/**
 * rotation_work() - what is to be done now
 * @proven: the account is, with the key that it has now
 *
 * Return: the work; or ROTATION_WORK_NONE with *ret_wait_s, 0 when nothing is
 * to be done about records in this state.
 */
enum rotation_work rotation_work(const struct store_rotation *x,
                                 const struct rotation_run *run, bool proven,
                                 int64_t now_s, int64_t *ret_wait_s);

/* rotation_switches_first() - records come after the switch: what may be stolen
 * or is lost cannot wait for DNS, and an account that is being adopted is not
 * proven. */
bool rotation_switches_first(const struct store_rotation *x);

/**
 * rotation_add_record() - one that the rotation changes is added or changed
 *
 * It may be the first. What was seen on servers is not all any more: back to
 * records-published.
 *
 * Return: 0; ROTATION_E_HELD: the switch that is under way would miss it.
 */
int rotation_add_record(struct store_rotation *x) MUST_CHECK;
#define ROTATION_E_HELD 2

/* What guardianctl says of its work. */
enum rotation_claim {
    ROTATION_CLAIM_UNSET = 0,
    ROTATION_CLAIM_PUBLISHING, /* it begins: from now on some may be there */
    ROTATION_CLAIM_PUBLISHED,  /* by every zone that has a publisher */
    ROTATION_CLAIM_VERIFIED,   /* on every server */
    ROTATION_CLAIM_LACKING,    /* not yet: reason and text */
    ROTATION_CLAIM_OLD_REMOVED,
    ROTATION_CLAIM_NEW_REMOVED,
    ROTATION_CLAIM_COUNT
};
enum rotation_claim rotation_claim_parse(const char *name); /* "publishing" */

/* rotation_claim_needs_all() - it is about all records of the account, so the
 * revision that it saw must be the one of now. */
bool rotation_claim_needs_all(enum rotation_claim c);

#define ROTATION_TTL_MAX_S (7 * 86400)

/* For how long caches may keep what they have; why it is not done yet, which
 * is only copied from. */
struct rotation_claimed {
    int64_t ttl_s;
    const char *reason, *text;
};

/**
 * rotation_claim() - the row that follows; shallow, as rotation_hear()
 *
 * Return: 0; ROTATION_E_UNASKED: this is not the work of now.
 */
int rotation_claim(const struct store_rotation *x, enum rotation_work work,
                   enum rotation_claim claim, const struct rotation_claimed *c,
                   int64_t now_s, struct store_rotation *ret) MUST_CHECK;
