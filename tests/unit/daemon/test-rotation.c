/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rotation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rotation-fixture.h"

static void test_the_arrows(void **state)
{
    static const char *const want[] = {
        "planned key-generated",
        "planned aborting",
        "planned account-lost",
        "key-generated draining",
        "key-generated aborting",
        "draining switching",
        "draining aborting",
        "switching draining",
        "switching switched",
        "switching aborting",
        "switching switch-refused",
        "switching unresolved",
        "switched cleaned",
        "cleaned done",
        "aborting aborted",
        "aborting unresolved",
        "switch-refused aborting",
        "unresolved switched",
        "unresolved switch-refused",
        "unresolved account-lost",
        "account-lost unresolved",
        "account-lost planned",
        "key-generated records-published",
        "records-published records-verified",
        "records-published aborting",
        "records-verified draining",
        "records-verified records-published",
        "records-verified aborting",
        "draining records-published",
        "records-published draining",
        "switched unresolved",
    };
    size_t n = 0;
    char text[64];

    (void)state;
    for (enum rotation_state from = 1; from < ROTATION_STATE_COUNT; from++) {
        assert_true(rotation_may_go(from, from));
        for (enum rotation_state to = 1; to < ROTATION_STATE_COUNT; to++) {
            bool found = false;

            (void)snprintf(text, sizeof(text), "%s %s",
                           rotation_state_name(from), rotation_state_name(to));
            for (size_t i = 0; i < ARRAY_LEN(want); i++)
                found = found || strcmp(want[i], text) == 0;
            if (from == to)
                continue;
            if (rotation_may_go(from, to) != found)
                print_message("%s\n", text);
            assert_int_equal(rotation_may_go(from, to), found);
            n += found;
        }
    }
    assert_int_equal(n, ARRAY_LEN(want));
    assert_false(rotation_may_go(ROTATION_UNSET, ROTATION_PLANNED));
    assert_false(rotation_may_go(ROTATION_STATE_COUNT, ROTATION_DONE));
}

static void test_every_state_says_what_is_next(void **state)
{
    (void)state;
    for (enum rotation_state s = 1; s < ROTATION_STATE_COUNT; s++) {
        struct store_rotation x = { .state = s };
        struct rotation_next next = rotation_next(&x);

        print_message("%s: %s, %s\n", rotation_state_name(s), next.actor,
                      next.text);
        assert_true(strlen(next.text) > 10);
        assert_string_not_equal(next.text, "this state is unknown");
        assert_int_equal(rotation_is_over(s),
                         s == ROTATION_DONE || s == ROTATION_ABORTED);
        assert_int_equal(strcmp(next.actor, "nobody") == 0,
                         rotation_is_over(s));
    }
}

static void test_it_is_aborted_until_the_request_is_out(void **state)
{
    (void)state;
    for (enum rotation_state s = 1; s < ROTATION_STATE_COUNT; s++) {
        struct store_rotation x = { .state = s };

        assert_int_equal(rotation_may_abort(&x),
                         s == ROTATION_PLANNED || s == ROTATION_KEY_GENERATED ||
                             s == ROTATION_RECORDS_PUBLISHED ||
                             s == ROTATION_RECORDS_VERIFIED ||
                             s == ROTATION_DRAINING || s == ROTATION_SWITCHING);
        x.sent_s = 1;
        if (s == ROTATION_SWITCHING)
            assert_false(rotation_may_abort(&x));
    }
}

static void test_what_was_not_asked_is_not_heard(void **state)
{
    static const enum rotation_state others[] = {
        ROTATION_PLANNED, ROTATION_KEY_GENERATED,  ROTATION_DRAINING,
        ROTATION_CLEANED, ROTATION_DONE,           ROTATION_ABORTING,
        ROTATION_ABORTED, ROTATION_SWITCH_REFUSED, ROTATION_ACCOUNT_LOST,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        f.row.state = others[i];
        for (enum rotation_ask ask = 0; ask < ROTATION_ASK_COUNT; ask++)
            assert_string_equal(hear(ask, OPENS), "unasked");
    }
    f.row.state = ROTATION_SWITCHING;
    f.row.sent_s = 0;
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, STATUS(200)), "unasked");
}

static void test_names(void **state)
{
    (void)state;
    for (enum rotation_ask ask = 1; ask < ROTATION_ASK_COUNT; ask++)
        assert_int_equal(rotation_ask_parse(rotation_ask_name(ask)), ask);
    assert_int_equal(rotation_ask_parse("none"), ROTATION_ASK_NONE);
    assert_int_equal(rotation_ask_parse("x"), ROTATION_ASK_NONE);
    assert_string_equal(rotation_state_name(ROTATION_STATE_COUNT), "unset");
}

static void test_which_keys_are_outside(void **state)
{
    static char token[] = "hsm";

    (void)state;
    be(ROTATION_KIND_ADOPT, ROTATION_PLANNED);
    assert_true(rotation_old_is_outside(&f.row));
    assert_false(rotation_new_is_outside(&f.row));
    be(ROTATION_KIND_RELEASE, ROTATION_PLANNED);
    assert_false(rotation_old_is_outside(&f.row));
    assert_true(rotation_new_is_outside(&f.row));
    be(ROTATION_KIND_MOVE, ROTATION_PLANNED);
    assert_true(rotation_old_is_outside(&f.row));
    f.row.old_token = token;
    assert_false(rotation_old_is_outside(&f.row));
    be(ROTATION_KIND_PLANNED, ROTATION_PLANNED);
    assert_false(rotation_old_is_outside(&f.row));
}

/* Held as a new order, then with everything else: a minute in all. */
static void test_orders_are_held_within_the_longest_hold(void **state)
{
    static const struct {
        int64_t settle_s, cache_s;
        uint64_t ms;
    } cases[] = {
        { 0, 0, 30000 }, { 5, 15, 30000 }, { 15, 30, 10000 }, { 60, 60, 0 }
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct store_rotation x = { .settle_s = cases[i].settle_s,
                                          .cache_s = cases[i].cache_s };

        assert_int_equal(rotation_orders_held_ms(&x), cases[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROTATION_TEST(test_the_arrows),
        ROTATION_TEST(test_every_state_says_what_is_next),
        ROTATION_TEST(test_it_is_aborted_until_the_request_is_out),
        ROTATION_TEST(test_what_was_not_asked_is_not_heard),
        ROTATION_TEST(test_which_keys_are_outside),
        ROTATION_TEST(test_names),
        cmocka_unit_test(test_orders_are_held_within_the_longest_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
