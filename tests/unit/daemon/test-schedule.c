/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MONDAY INT64_C(1790553600) /* 2026-09-28 00:00 UTC */
#define DAY 86400

static struct store_account account(int64_t rotate_s, const char *window)
{
    return (struct store_account){
        .key_since_s = MONDAY,
        .schedule = { .rotate = { rotate_s > 0, rotate_s },
                      .window = (char *)(uintptr_t)window },
    };
}

static void test_without_rotate_never(void **state)
{
    struct store_account a = account(0, "00:00-24:00");
    struct schedule_now x = schedule_look(&a, NULL, MONDAY + 1000 * DAY);

    (void)state;
    assert_false(x.due);
    assert_true(x.open);
    assert_int_equal(x.due_s, 0);
}

static void test_when_the_key_is_old_enough(void **state)
{
    struct store_account a = account(10 * DAY, NULL);

    (void)state;
    assert_false(schedule_look(&a, NULL, MONDAY + 10 * DAY - 1).due);
    assert_true(schedule_look(&a, NULL, MONDAY + 10 * DAY).due);
    assert_true(schedule_look(&a, NULL, MONDAY).open);
    assert_int_equal(schedule_look(&a, NULL, MONDAY).due_s, MONDAY + 10 * DAY);
    assert_int_equal(schedule_look(&a, NULL, MONDAY).end_s, 0);
}

static void test_in_the_window(void **state)
{
    struct store_account a = account(DAY, "Sun 02:00-04:00");
    struct schedule_now x =
        schedule_look(&a, NULL, MONDAY + 6 * DAY + 3 * 3600);

    (void)state;
    assert_true(x.due && x.open);
    assert_int_equal(x.end_s, MONDAY + 6 * DAY + 4 * 3600);
    x = schedule_look(&a, NULL, MONDAY + 5 * DAY);
    assert_true(x.due && !x.open);
    assert_int_equal(x.next_s, MONDAY + 6 * DAY + 2 * 3600);
}

static void test_a_window_that_cannot_be_read_never_opens(void **state)
{
    struct store_account a = account(DAY, "sometimes");
    struct schedule_now x = schedule_look(&a, NULL, MONDAY + 5 * DAY);

    (void)state;
    assert_true(x.due);
    assert_false(x.open);
}

/* What the CA refused today it refuses in ten minutes, too. */
static void test_after_one_that_was_given_up_a_day_passes(void **state)
{
    struct store_account a = account(DAY, NULL);
    struct store_rotation last = { .state = ROTATION_ABORTED,
                                   .since_s = MONDAY + 2 * DAY };

    (void)state;
    assert_false(schedule_look(&a, &last, MONDAY + 3 * DAY - 1).due);
    assert_true(schedule_look(&a, &last, MONDAY + 3 * DAY).due);
    last.state = ROTATION_DONE;
    assert_true(schedule_look(&a, &last, MONDAY + 2 * DAY + 1).due);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rotate_never),
        cmocka_unit_test(test_when_the_key_is_old_enough),
        cmocka_unit_test(test_in_the_window),
        cmocka_unit_test(test_a_window_that_cannot_be_read_never_opens),
        cmocka_unit_test(test_after_one_that_was_given_up_a_day_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
