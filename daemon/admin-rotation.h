/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/admin-call.h"
#include "daemon/rotate.h"
#include "daemon/rotation-records.h"

/* What the methods about rotations share. */

/* The times of a rotation, their names and what they may be (admin-schedule.c).
 */
enum admin_time {
    ADMIN_GRACE = 0,
    ADMIN_ORDER_DRAIN,
    ADMIN_SETTLE,
    ADMIN_CACHE,
    ADMIN_TIMES
};
struct admin_time_limit {
    const char *name;
    int64_t max_s;
};
extern const struct admin_time_limit admin_time_limits[ADMIN_TIMES];
/* False: it is too long, and that was answered. */
bool admin_check_time(struct varlink_call *call, enum admin_time which,
                      int64_t value_s) MUST_CHECK;

/* admin_may_ask() - some questions are only an administrator's. False: it was
 * answered. */
bool admin_may_ask(struct guardian *g, struct varlink_call *call,
                   const struct account *a, enum rotation_ask ask) MUST_CHECK;

/* rotation_due() - what is to be asked now, or (NONE) how long to wait. */
enum rotation_ask rotation_due(const struct account *a, uint64_t *ret_wait_ms);

/* rotation_work_due() - what is to be done about records now, or (NONE) how
 * long to wait for that. */
enum rotation_work rotation_work_due(const struct account *a,
                                     uint64_t *ret_wait_ms);

/* Type RotationRecords, or null. NULL: no memory. */
json_t *rotation_records_json(const struct account *a);

/* Type Rotation. NULL: no memory. */
json_t *admin_rotation_json(const struct account *a);
void admin_reply_rotation(struct varlink_call *call, const struct account *a);

/* admin_rotation() - the account of this name, which has a rotation; NULL: it
 * was answered. */
struct account *admin_rotation(struct guardian *g, struct varlink_call *call,
                               const char *name) MUST_CHECK;

/* rotation_from() - the account's side of a rotation that begins, borrowed from
 * it. Not its token and its public key. */
void rotation_from(const struct account *a, struct store_rotation *x);

/*
 * rotation_plan() - a rotation begins, in planned
 * @wishes: kind, target and times; the rest follows from the account. new_label
 * NULL: one of ours.
 * Return: as rotate_commit().
 */
int rotation_plan(struct guardian *g, struct account *a,
                  const struct store_rotation *wishes,
                  const struct peer *by) MUST_CHECK;

/* admin_has_records() - the account has any. */
bool admin_has_records(const struct guardian *g, const struct account *a);

/* admin_read_key_kind() - new_alg and new_rsa_bits; without a size RSA has
 * 2048. False: it was answered. */
bool admin_read_key_kind(struct varlink_call *call, const char *alg,
                         int64_t rsa_bits,
                         struct store_rotation *row) MUST_CHECK;

/* admin_error_records() - of rotate_records_change(): nonzero. */
void admin_error_records(struct varlink_call *call, const struct account *a,
                         int r);

/* admin_rotation_error() - of rotate_commit(): nonzero. */
void admin_rotation_error(struct varlink_call *call, int r);
