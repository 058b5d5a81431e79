/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/*
 * OrdersPerDay=: signed orders of a rule set over the last 24 hours, by a clock
 * that nobody sets (quota_now_ms()). Only where the counts are rebuilt from the
 * audit log at start (audit_replay_orders()) the wall clock's word is taken for
 * the age of an order (quota_time_ms()).
 *
 * A payload signed again within QUOTA_RETRY_MS is the same order (a client
 * repeats it after badNonce): it counts once and is allowed at the limit too,
 * QUOTA_RETRIES_MAX times; the next counts as another order, since the CA may
 * have taken each of them for one. Of all rule sets together some 2000 such
 * payloads are remembered; beyond that a retry counts as another order.
 *
 * Memory: 8 octets for each second in which a rule set ordered, at most a day.
 */

#define QUOTA_RETRY_MS 60000
#define QUOTA_RETRIES_MAX 10
#define QUOTA_DAY_MS (24 * 3600 * 1000)

struct quota;

int quota_new(struct quota **ret) MUST_CHECK;
struct quota *quota_free(struct quota *q);
DEFINE_CLEANUP(struct quota *, quota_free)
#define CLEANUP_QUOTA CLEANUP(quota_free_p)

/* quota_now_ms() - milliseconds since boot, suspended or not, and two days, so
 * that what was ordered before the boot has a time, too. */
uint64_t quota_now_ms(void);

/* quota_time_ms() - the same for an order that the audit log has. One of the
 * future (the clock was set back) happened now at the latest. */
uint64_t quota_time_ms(uint64_t now_ms, uint64_t wall_now_ms,
                       uint64_t wall_time_ms);

/* quota_allows() - may a rule set of @limit orders a day sign this one? */
bool quota_allows(struct quota *q, const char *rule_id, unsigned limit,
                  uint64_t now_ms, const uint8_t payload_sha256[static 32]);

/* quota_count() - an order was signed. Return: 0; -ENOMEM: sign nothing. */
int quota_count(struct quota *q, const char *rule_id, uint64_t now_ms,
                const uint8_t payload_sha256[static 32]) MUST_CHECK;

/* quota_retry_after_ms() - until another order is allowed; 0: it is now. */
uint64_t quota_retry_after_ms(struct quota *q, const char *rule_id,
                              unsigned limit, uint64_t now_ms);

/* quota_used() - orders of the last day, for status. */
uint64_t quota_used(struct quota *q, const char *rule_id, uint64_t now_ms);
