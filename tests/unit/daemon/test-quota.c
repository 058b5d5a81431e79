/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START 1790000000000ULL
#define DAY ((uint64_t)QUOTA_DAY_MS)

static int new_quota(void **state)
{
    struct quota *q = NULL;
    int r = quota_new(&q);

    *state = q;
    return r;
}

static int free_quota(void **state)
{
    quota_free(*state);
    return 0;
}

/* A payload's hash: as evenly spread as SHA-256 would be. */
static const uint8_t *payload(unsigned n)
{
    static uint8_t hash[32];
    uint64_t x = n + 1;

    for (size_t i = 0; i < sizeof(hash); i++) {
        x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        hash[i] = (uint8_t)(x >> 56);
    }
    return hash;
}

static void count(struct quota *q, const char *rule, uint64_t at, unsigned n)
{
    assert_int_equal(quota_count(q, rule, at, payload(n)), 0);
}

static void test_limit_is_reached_by_so_many_orders(void **state)
{
    struct quota *q = *state;

    for (unsigned i = 0; i < 5; i++) {
        assert_true(quota_allows(q, "r", 5, START + i, payload(i)));
        count(q, "r", START + i, i);
    }
    assert_false(quota_allows(q, "r", 5, START + 5, payload(5)));
    assert_true(quota_allows(q, "r", 6, START + 5, payload(5)));
    assert_int_equal(quota_used(q, "r", START + 5), 5);
}

static void test_limit_of_zero_allows_nothing(void **state)
{
    assert_false(quota_allows(*state, "r", 0, START, payload(0)));
    assert_true(quota_retry_after_ms(*state, "r", 0, START) > 0);
}

static void test_rule_sets_count_apart(void **state)
{
    struct quota *q = *state;

    count(q, "a", START, 1);
    assert_false(quota_allows(q, "a", 1, START, payload(2)));
    assert_true(quota_allows(q, "b", 1, START, payload(2)));
    /* The same payload under another rule set is no retry. */
    count(q, "b", START, 1);
    assert_int_equal(quota_used(q, "b", START), 1);
}

static void test_day_slides(void **state)
{
    struct quota *q = *state;

    count(q, "r", START, 0);
    count(q, "r", START + DAY / 2, 1);
    assert_false(quota_allows(q, "r", 2, START + DAY - 1, payload(2)));
    assert_true(quota_allows(q, "r", 2, START + DAY + 1000, payload(2)));
    assert_int_equal(quota_used(q, "r", START + DAY + 1000), 1);
    assert_int_equal(quota_used(q, "r", START + DAY + DAY / 2 + 1000), 0);
}

static void test_retry_after_ends_when_it_says(void **state)
{
    struct quota *q = *state;
    uint64_t now = START + DAY / 4;
    uint64_t wait;

    assert_int_equal(quota_retry_after_ms(q, "r", 2, now), 0);
    count(q, "r", START, 0);
    count(q, "r", START + 5000, 1);
    wait = quota_retry_after_ms(q, "r", 2, now);
    assert_true(wait >= DAY - DAY / 4 && wait <= DAY - DAY / 4 + 1000);
    assert_false(quota_allows(q, "r", 2, now + wait - 1, payload(2)));
    assert_true(quota_allows(q, "r", 2, now + wait, payload(2)));

    /* With a limit that was lowered, more than one must go. */
    now = START + 10000;
    assert_true(quota_retry_after_ms(q, "r", 1, now) > DAY - 10000 + 4000);
}

static void test_retry_of_a_payload_counts_once_for_a_minute(void **state)
{
    struct quota *q = *state;

    count(q, "r", START, 7);
    assert_true(quota_allows(q, "r", 1, START + 59999, payload(7)));
    count(q, "r", START + 59999, 7);
    assert_int_equal(quota_used(q, "r", START + 59999), 1);
    /* From the order, not from the last retry. */
    assert_false(quota_allows(q, "r", 1, START + 60000, payload(7)));
    count(q, "r", START + 60000, 7);
    assert_int_equal(quota_used(q, "r", START + 60000), 2);
}

static void test_retries_beyond_ten_count_again(void **state)
{
    struct quota *q = *state;

    for (unsigned i = 0; i <= 10; i++) {
        assert_true(quota_allows(q, "r", 1, START + i, payload(7)));
        count(q, "r", START + i, 7);
    }
    assert_int_equal(quota_used(q, "r", START + 10), 1);
    assert_false(quota_allows(q, "r", 1, START + 11, payload(7)));
    assert_true(quota_allows(q, "r", 2, START + 11, payload(7)));

    /* The next is another order, with a minute and ten retries of its own. */
    count(q, "r", START + 11, 7);
    assert_int_equal(quota_used(q, "r", START + 11), 2);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(quota_allows(q, "r", 2, START + 60010, payload(7)));
        count(q, "r", START + 60010, 7);
    }
    assert_int_equal(quota_used(q, "r", START + 60010), 2);
    assert_false(quota_allows(q, "r", 2, START + 60010, payload(7)));
}

static void test_clock_set_back_forgets_nothing(void **state)
{
    struct quota *q = *state;

    count(q, "r", START, 0);
    count(q, "r", START + 1000, 1);
    assert_false(quota_allows(q, "r", 2, START - 10 * DAY, payload(2)));
    count(q, "r", START - 10 * DAY, 2);
    assert_int_equal(quota_used(q, "r", START - 10 * DAY), 3);
}

static void test_clock_set_back_holds_for_a_day_at_most(void **state)
{
    struct quota *q = *state;
    uint64_t back = START - 10 * DAY;

    count(q, "r", START, 0);
    assert_false(quota_allows(q, "r", 1, back, payload(1)));
    assert_true(quota_retry_after_ms(q, "r", 1, back) <= DAY + 1000);
    assert_true(quota_allows(q, "r", 1, back + DAY + 1000, payload(1)));
}

static void test_many_orders_over_many_seconds_are_all_counted(void **state)
{
    struct quota *q = *state;

    for (unsigned i = 0; i < 5000; i++)
        count(q, "r", START + (uint64_t)i * 700, i);
    assert_int_equal(quota_used(q, "r", START + 5000 * 700), 5000);
    assert_int_equal(quota_used(q, "r", START + DAY + 2500 * 700 + 1000), 2498);
}

static void test_unused_rule_sets_leave(void **state)
{
    struct quota *q = *state;
    char id[16];

    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(id, sizeof(id), "%u", i);
        count(q, id, START + i * DAY * 2, i);
        if (i > 0) {
            (void)snprintf(id, sizeof(id), "%u", i - 1);
            assert_int_equal(quota_used(q, id, START + i * DAY * 2), 0);
        }
    }
}

static void test_age_of_what_the_log_has(void **state)
{
    const uint64_t now = quota_now_ms();

    (void)state;
    assert_true(now >= 2 * DAY); /* a day ago is a time, too */
    assert_true(quota_now_ms() >= now);
    assert_int_equal(quota_time_ms(now, START, START - 5000), now - 5000);
    assert_int_equal(quota_time_ms(now, START, START + 5000), now);
    assert_int_equal(quota_time_ms(now, START, START - 9 * DAY), now - DAY);
    assert_int_equal(quota_time_ms(now, 0, START), now);
}

#define WITH_QUOTA(fn)                                                         \
    cmocka_unit_test_setup_teardown(fn, new_quota, free_quota)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_QUOTA(test_limit_is_reached_by_so_many_orders),
        WITH_QUOTA(test_limit_of_zero_allows_nothing),
        WITH_QUOTA(test_rule_sets_count_apart),
        WITH_QUOTA(test_day_slides),
        WITH_QUOTA(test_retry_after_ends_when_it_says),
        WITH_QUOTA(test_retry_of_a_payload_counts_once_for_a_minute),
        WITH_QUOTA(test_retries_beyond_ten_count_again),
        WITH_QUOTA(test_clock_set_back_forgets_nothing),
        WITH_QUOTA(test_clock_set_back_holds_for_a_day_at_most),
        WITH_QUOTA(test_many_orders_over_many_seconds_are_all_counted),
        WITH_QUOTA(test_unused_rule_sets_leave),
        WITH_QUOTA(test_age_of_what_the_log_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
