/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct fixture {
    sd_event *event;
    struct hold hold;
    char seen[32]; /* names; upper case: not released */
    bool again;    /* who is released waits once more */
} f;

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){ 0 };
    return sd_event_new(&f.event) < 0;
}

static int teardown(void **state)
{
    (void)state;
    hold_release(&f.hold, false);
    sd_event_unref(f.event);
    return 0;
}

static char names[] = "abc";

static struct hold_entry *add(int i, uint64_t ms);

static void on_end(bool released, void *userdata)
{
    const char *name = userdata;
    char c = released ? *name : (char)(*name - 'a' + 'A');

    strncat(f.seen, &c, 1);
    if (f.again)
        (void)add((int)(name - names), 60000);
}

static struct hold_entry *add(int i, uint64_t ms)
{
    struct hold_entry *e = NULL;

    assert_int_equal(hold_add(&f.hold, f.event, ms, on_end, &names[i], &e), 0);
    assert_non_null(e);
    return e;
}

static void test_all_are_released_in_their_order(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        (void)add(i, 60000);
    assert_int_equal(f.hold.n, 3);
    assert_string_equal(f.seen, "");
    hold_release(&f.hold, true);
    assert_string_equal(f.seen, "abc");
    assert_int_equal(f.hold.n, 0);
    hold_release(&f.hold, true);
    assert_string_equal(f.seen, "abc");
}

static void test_nobody_waits_longer_than_he_may(void **state)
{
    (void)state;
    (void)add(0, 60000);
    (void)add(1, 1);
    (void)add(2, 60000);
    while (f.hold.n == 3)
        assert_true(sd_event_run(f.event, 1000000) > 0);
    assert_string_equal(f.seen, "B");
    hold_release(&f.hold, true);
    assert_string_equal(f.seen, "Bac");
}

static void test_who_is_gone_is_not_called(void **state)
{
    struct hold_entry *e;

    (void)state;
    (void)add(0, 60000);
    e = add(1, 60000);
    (void)add(2, 60000);
    hold_cancel(e);
    hold_release(&f.hold, true);
    assert_string_equal(f.seen, "ac");
}

static void test_who_waits_again_is_not_released_at_once(void **state)
{
    (void)state;
    (void)add(0, 60000);
    (void)add(1, 60000);
    f.again = true;
    hold_release(&f.hold, true);
    assert_string_equal(f.seen, "ab");
    assert_int_equal(f.hold.n, 2);
    f.again = false;
}

#define HOLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOLD_TEST(test_all_are_released_in_their_order),
        HOLD_TEST(test_nobody_waits_longer_than_he_may),
        HOLD_TEST(test_who_is_gone_is_not_called),
        HOLD_TEST(test_who_waits_again_is_not_released_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
