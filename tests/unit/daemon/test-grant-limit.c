/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/grant-limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START 5000000ULL /* the clock begins at boot */
#define S 1000000ULL

static void test_a_minute_has_so_many(void **state)
{
    struct grant_limit l = { .per_minute = 60 };

    (void)state;
    for (int i = 0; i < 60; i++)
        assert_int_equal(grant_limit_take(&l, 1, 0, START), 0);
    assert_int_equal(grant_limit_take(&l, 1, 0, START), 1001);
    assert_int_equal(grant_limit_take(&l, 1, 0, START + S - 1), 1);
    assert_int_equal(grant_limit_take(&l, 1, 0, START + S), 0);
    assert_int_equal(grant_limit_take(&l, 1, 0, START + S), 1001);
    for (int i = 0; i < 60; i++)
        assert_int_equal(grant_limit_take(&l, 1, 0, START + 61 * S), 0);
    assert_true(grant_limit_take(&l, 1, 0, START + 61 * S) > 0);
}

static void test_long_lines_count_more(void **state)
{
    struct grant_limit l = { .per_minute = 10 };

    (void)state;
    assert_int_equal(grant_limit_take(&l, 1, 255, START), 0);
    assert_int_equal(grant_limit_take(&l, 1, 256 * 7, START), 0);
    /* One is left. */
    assert_int_equal(grant_limit_take(&l, 1, 256, START), 6001);
    assert_int_equal(grant_limit_take(&l, 1, 255, START), 0);
    assert_int_equal(grant_limit_take(&l, 1, 0, START), 6001);
    /* What is above the limit needs all of it. */
    assert_int_equal(grant_limit_take(&l, 2, 1000000, START), 0);
    assert_int_equal(grant_limit_take(&l, 2, 0, START), 6001);
    assert_int_equal(grant_limit_take(&l, 2, 1000000, START + S), 59001);
    assert_int_equal(grant_limit_take(&l, 2, 1000000, START + 60 * S), 0);
}

static void test_uids_count_apart(void **state)
{
    struct grant_limit l = { .per_minute = 1 };

    (void)state;
    assert_int_equal(grant_limit_take(&l, 0, 0, START), 0);
    assert_int_equal(grant_limit_take(&l, 1, 0, START), 0);
    assert_true(grant_limit_take(&l, 0, 0, START) > 0);
    assert_true(grant_limit_take(&l, 1, 0, START) > 0);
}

static void test_none_is_none(void **state)
{
    struct grant_limit l = { 0 };

    (void)state;
    assert_true(grant_limit_take(&l, 0, 0, START) > 0);
}

static void test_many_uids_take_the_place_of_the_idle(void **state)
{
    struct grant_limit l = { .per_minute = 10 };

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(grant_limit_take(&l, 7, 0, START), 0);
    for (uid_t uid = 1000; uid < 1000 + 2 * GRANT_LIMIT_UIDS; uid++)
        assert_int_equal(grant_limit_take(&l, uid, 0, START), 0);
    assert_true(grant_limit_take(&l, 7, 0, START) > 0);
}

static void test_a_high_limit_is_kept(void **state)
{
    struct grant_limit l = { .per_minute = 10000000 };
    unsigned n = 0;

    (void)state;
    while (grant_limit_take(&l, 1, 0, START) == 0)
        n++;
    assert_int_equal(n, 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_minute_has_so_many),
        cmocka_unit_test(test_long_lines_count_more),
        cmocka_unit_test(test_uids_count_apart),
        cmocka_unit_test(test_none_is_none),
        cmocka_unit_test(test_many_uids_take_the_place_of_the_idle),
        cmocka_unit_test(test_a_high_limit_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
