/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/*
 * OrdersPerDay=: signed orders of a rule set over the last 24 hours. Times are
 * wall-clock milliseconds since 1970, since the counts are rebuilt from the
 * audit log at start (audit_replay_orders()). A clock that was set back never
 * forgets an order and never holds one for more than a day.
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
