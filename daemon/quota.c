/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each rule set has a ring of (second, orders in it). A second is rounded up,
 * so that an order is never forgotten before its day is over.
 *
 * Payloads of the last minute are in a table of sets of four, found by their
 * hash; the oldest of a set gives way. That can only make a retry count twice,
 * never an order not at all.
 */
#include "daemon/quota.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define DAY_S (24 * 3600)
#define N_CHAINS 256
#define N_SETS 512
#define N_WAYS 4
#define HASH_LEN 16

struct tick {
    uint32_t second; /* as second_of() has it, rounded up */
    uint32_t orders;
};

struct rule {
    struct rule *next;
    struct tick *ring;
    size_t cap, first, n;
    uint64_t used;
    char id[];
};

struct recent {
    const struct rule *rule;
    uint64_t time_ms;
    unsigned retries;
    uint8_t hash[HASH_LEN];
};

struct quota {
    struct rule *chains[N_CHAINS];
    struct recent recent[N_SETS][N_WAYS];
};

uint64_t quota_now_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return 2 * QUOTA_DAY_MS + (uint64_t)now.tv_sec * 1000 +
           (uint64_t)now.tv_nsec / 1000000;
}

uint64_t quota_time_ms(uint64_t now_ms, uint64_t wall_now_ms,
                       uint64_t wall_time_ms)
{
    uint64_t age_ms =
        wall_now_ms > wall_time_ms ? wall_now_ms - wall_time_ms : 0;

    return now_ms - (age_ms < QUOTA_DAY_MS ? age_ms : QUOTA_DAY_MS);
}

int quota_new(struct quota **ret)
{
    struct quota *q = calloc(1, sizeof(*q));

    if (!q)
        return -ENOMEM;
    *ret = q;
    return 0;
}

static void rule_free(struct rule *rule)
{
    free(rule->ring);
    free(rule);
}

struct quota *quota_free(struct quota *q)
{
    if (!q)
        return NULL;
    for (size_t i = 0; i < N_CHAINS; i++) {
        while (q->chains[i]) {
            struct rule *rule = q->chains[i];

            q->chains[i] = rule->next;
            rule_free(rule);
        }
    }
    free(q);
    return NULL;
}

static struct rule **chain_of(struct quota *q, const char *id)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (; *id; id++)
        h = (h ^ (uint8_t)*id) * 16777619U;
    return &q->chains[(h ^ h >> 16) % N_CHAINS];
}

static struct tick *tick_at(struct rule *rule, size_t i)
{
    return &rule->ring[(rule->first + i) % rule->cap];
}

/*
 * Drops what is older than a day. What lies in the future (the clock was set
 * back) happened now at the latest: it counts for a day from here.
 */
static void settle(struct rule *rule, uint32_t now)
{
    uint32_t orders = 0;

    while (rule->n > 0 && tick_at(rule, 0)->second + DAY_S <= now) {
        rule->used -= tick_at(rule, 0)->orders;
        rule->first = (rule->first + 1) % rule->cap;
        rule->n--;
    }
    while (rule->n > 0 && tick_at(rule, rule->n - 1)->second > now + 1) {
        orders += tick_at(rule, rule->n - 1)->orders;
        rule->n--;
    }
    if (orders == 0)
        return;
    if (rule->n == 0 || tick_at(rule, rule->n - 1)->second != now + 1) {
        rule->n++; /* one of those that were just taken away */
        *tick_at(rule, rule->n - 1) = (struct tick){ .second = now + 1 };
    }
    tick_at(rule, rule->n - 1)->orders += orders;
}

/* Since 1970; 32 bits last until 2106. */
static uint32_t second_of(uint64_t now_ms)
{
    const uint32_t max = UINT32_MAX - 2 * DAY_S;

    return now_ms / 1000 < max ? (uint32_t)(now_ms / 1000) : max;
}

static struct rule *find(struct quota *q, const char *id, uint64_t now_ms)
{
    for (struct rule *rule = *chain_of(q, id); rule; rule = rule->next) {
        if (strcmp(rule->id, id) == 0) {
            settle(rule, second_of(now_ms));
            return rule;
        }
    }
    return NULL;
}

/* Rule sets that are gone from the policy leave when their day is over. */
static void drop_unused(struct rule **chain, uint32_t now)
{
    while (*chain) {
        struct rule *rule = *chain;

        settle(rule, now);
        if (rule->n > 0) {
            chain = &rule->next;
            continue;
        }
        *chain = rule->next;
        rule_free(rule);
    }
}

static int add_rule(struct quota *q, const char *id, uint32_t now,
                    struct rule **ret)
{
    struct rule **chain = chain_of(q, id);
    size_t len = strlen(id) + 1;
    struct rule *rule;

    drop_unused(chain, now);
    rule = calloc(1, sizeof(*rule) + len);
    if (!rule)
        return -ENOMEM;
    memcpy(rule->id, id, len);
    rule->next = *chain;
    *chain = rule;
    *ret = rule;
    return 0;
}

static int grow(struct rule *rule)
{
    size_t cap = rule->cap ? 2 * rule->cap : 4;
    struct tick *ring;

    if (rule->n < rule->cap)
        return 0;
    ring = reallocarray(NULL, cap, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    for (size_t i = 0; i < rule->n; i++)
        ring[i] = *tick_at(rule, i);
    free(rule->ring);
    rule->ring = ring;
    rule->cap = cap;
    rule->first = 0;
    return 0;
}

static struct recent *set_of(struct quota *q, const uint8_t *hash)
{
    return q->recent[(hash[HASH_LEN] | hash[HASH_LEN + 1] << 8) % N_SETS];
}

/* Both ways in time: the clock may have been set back. */
static bool recent_enough(const struct recent *r, uint64_t now_ms)
{
    uint64_t age =
        r->time_ms > now_ms ? r->time_ms - now_ms : now_ms - r->time_ms;

    return age < QUOTA_RETRY_MS;
}

static struct recent *find_recent(struct quota *q, const struct rule *rule,
                                  uint64_t now_ms, const uint8_t *hash)
{
    struct recent *set = set_of(q, hash);

    for (size_t i = 0; i < N_WAYS; i++) {
        if (set[i].rule == rule && recent_enough(&set[i], now_ms) &&
            memcmp(set[i].hash, hash, HASH_LEN) == 0)
            return &set[i];
    }
    return NULL;
}

static bool is_retry(const struct recent *r)
{
    return r && r->retries < QUOTA_RETRIES_MAX;
}

static bool take_retry(struct quota *q, const struct rule *rule,
                       uint64_t now_ms, const uint8_t *hash)
{
    struct recent *r = find_recent(q, rule, now_ms, hash);

    if (!is_retry(r))
        return false;
    r->retries++;
    return true;
}

/* In its own place, if it has one, or in that of the oldest. */
static void remember(struct quota *q, const struct rule *rule, uint64_t now_ms,
                     const uint8_t *hash)
{
    struct recent *set = set_of(q, hash);
    struct recent *known = find_recent(q, rule, now_ms, hash);
    struct recent *place = known ? known : set;

    for (size_t i = 1; !known && i < N_WAYS; i++) {
        if (set[i].time_ms < place->time_ms)
            place = &set[i];
    }
    *place = (struct recent){ .rule = rule, .time_ms = now_ms };
    memcpy(place->hash, hash, HASH_LEN);
}

bool quota_allows(struct quota *q, const char *rule_id, unsigned limit,
                  uint64_t now_ms, const uint8_t payload_sha256[static 32])
{
    const struct rule *rule = find(q, rule_id, now_ms);

    if (!rule || rule->used < limit)
        return limit > 0;
    return is_retry(find_recent(q, rule, now_ms, payload_sha256));
}

int quota_count(struct quota *q, const char *rule_id, uint64_t now_ms,
                const uint8_t payload_sha256[static 32])
{
    struct rule *rule = find(q, rule_id, now_ms);
    uint32_t second = second_of(now_ms) + 1;
    int r;

    if (rule && take_retry(q, rule, now_ms, payload_sha256))
        return 0;
    if (!rule) {
        r = add_rule(q, rule_id, second - 1, &rule);
        if (r)
            return r;
    }
    if (rule->n == 0 || tick_at(rule, rule->n - 1)->second != second) {
        r = grow(rule);
        if (r)
            return r;
        rule->n++;
        *tick_at(rule, rule->n - 1) = (struct tick){ .second = second };
    }
    tick_at(rule, rule->n - 1)->orders++;
    rule->used++;
    remember(q, rule, now_ms, payload_sha256);
    return 0;
}

uint64_t quota_retry_after_ms(struct quota *q, const char *rule_id,
                              unsigned limit, uint64_t now_ms)
{
    struct rule *rule = find(q, rule_id, now_ms);
    uint64_t left;

    if (limit == 0)
        return QUOTA_DAY_MS;
    if (!rule || rule->used < limit)
        return 0;
    left = rule->used;
    for (size_t i = 0; i < rule->n; i++) {
        left -= tick_at(rule, i)->orders;
        if (left < limit) {
            uint64_t end = (uint64_t)tick_at(rule, i)->second + DAY_S;

            return end * 1000 > now_ms ? end * 1000 - now_ms : 1;
        }
    }
    return QUOTA_DAY_MS;
}

uint64_t quota_used(struct quota *q, const char *rule_id, uint64_t now_ms)
{
    const struct rule *rule = find(q, rule_id, now_ms);

    return rule ? rule->used : 0;
}
