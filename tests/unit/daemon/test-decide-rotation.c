/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/rotate.h"
#include "decide-fixture.h"

/* What is signed while a rotation is under way. */

static void rotate(enum rotation_state state)
{
    f.rotation.row.state = state;
    f.rotation.guardian = &f.g;
    f.rotation.account = &f.account;
    f.account.rotation = &f.rotation;
}

static void change_key(void)
{
    memset(f.account.row.acme.thumbprint, 'N', JWK_THP_TEXT_LEN);
    f.account.row.acme.jwk.x[0] ^= 1; /* another, as the reader sees it */
}

#define FETCH_HEADER HEADER("https://ca.example/order/1")

static void test_a_copied_registry_signs_nothing(void **state)
{
    (void)state;
    f.account.row.must_ask = true;
    (void)ask(FETCH_HEADER, "");
    assert_string_equal(reason_code(f.reason), "account-not-ready");
    assert_string_equal(f.state, "needs-resolve");
    assert_int_equal(fakes.asked, 0);
}

static void test_states_that_sign_as_ever(void **state)
{
    static const enum rotation_state states[] = {
        ROTATION_PLANNED, ROTATION_KEY_GENERATED,  ROTATION_DRAINING,
        ROTATION_CLEANED, ROTATION_DONE,           ROTATION_ABORTING,
        ROTATION_ABORTED, ROTATION_SWITCH_REFUSED,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        rotate(states[i]);
        assert_string_equal(ask(FETCH_HEADER, ""), "signed");
    }
    rotate(ROTATION_SWITCHED);
    f.rotation.row.confirmed_s = 1;
    assert_string_equal(ask(FETCH_HEADER, ""), "signed");
}

static void test_states_that_sign_nothing(void **state)
{
    (void)state;
    rotate(ROTATION_UNRESOLVED);
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "unresolved");
    f.outcomes = fakes.refusals = 0;
    rotate(ROTATION_ACCOUNT_LOST);
    expect_refused(ask(FETCH_HEADER, ""), "account-not-ready");
    assert_string_equal(f.state, "account-lost");
}

static void test_what_would_be_signed_waits(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    assert_int_equal(f.outcomes, 0);
    assert_int_equal(f.account.hold.n, 1);
    assert_int_equal(fakes.lines, 0); /* nothing is granted yet */
    assert_int_equal(fakes.asked, 0);
    rotate(ROTATION_ABORTED);
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "unset");
    assert_string_equal(fakes.order, "ats");
    assert_int_equal(f.signature_len, 64);
}

static void test_what_is_refused_anyway_does_not_wait(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    expect_refused(ask(ORDER_HEADER, ORDER("evil.example")),
                   "identifier-not-allowed");
    assert_int_equal(f.account.hold.n, 0);
}

/* By what is true then: the policy, the state, the key. */
static void test_who_waited_is_judged_again(void **state)
{
    char *const names[] = { (char[]){ "example.com" }, NULL };

    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    assert_int_equal(policy_set_deny_now(f.g.policy, names), 0);
    rotate(ROTATION_ABORTED);
    hold_release(&f.account.hold, true);
    assert_string_equal(reason_code(f.reason), "identifier-denied");
    assert_int_equal(fakes.asked, 0);
}

static void test_who_believes_in_the_old_key_is_told(void **state)
{
    char old[JWK_THP_TEXT_LEN + 1];

    (void)state;
    memcpy(old, f.account.row.acme.thumbprint, sizeof(old));
    rotate(ROTATION_SWITCHING);
    (void)ask_as(old, FETCH_HEADER, "");
    (void)ask(FETCH_HEADER, "");
    (void)ask_as(old, ORDER_HEADER, ORDER("example.com"));
    assert_int_equal(f.account.hold.n, 3);
    change_key();
    rotate(ROTATION_DONE);
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 3);
    assert_int_equal(fakes.refusals, 1);
    assert_string_equal(fakes.reason, "key-changed");
    assert_int_equal(fakes.asked, 2);
}

/* A lookup has the key in its header: late, not malformed. */
static void test_a_lookup_by_the_old_key_is_late(void **state)
{
    CLEANUP_BUF struct buf header = { 0 };
    char old[JWK_THP_TEXT_LEN + 1];

    (void)state;
    memcpy(old, f.account.row.acme.thumbprint, sizeof(old));
    assert_int_equal(buf_append_str(&header, "{\"alg\":\"ES256\",\"jwk\":"), 0);
    assert_int_equal(jwk_format(&f.account.row.acme.jwk, &header), 0);
    assert_int_equal(buf_append_str(&header,
                                    ",\"nonce\":\"abc\",\"url\":"
                                    "\"https://ca.example/acme/new-acct\"}"),
                     0);
    rotate(ROTATION_SWITCHING);
    (void)ask(buf_str(&header), "{\"onlyReturnExisting\":true}");
    assert_int_equal(f.account.hold.n, 1);
    change_key();
    rotate(ROTATION_DONE);
    hold_release(&f.account.hold, true);
    assert_string_equal(reason_code(f.reason), "key-changed");
    assert_string_equal(
        ask_as(old, buf_str(&header), "{\"onlyReturnExisting\":true}"),
        "key-changed");
    assert_string_equal(ask(buf_str(&header), "{\"onlyReturnExisting\":true}"),
                        "wrong-jwk");
}

static void test_waiting_too_long_is_refused(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    hold_release(&f.account.hold, false);
    assert_string_equal(reason_code(f.reason), "account-not-ready");
    assert_string_equal(f.state, "switching");
    assert_int_equal(fakes.asked, 0);
}

static void test_who_still_may_not_waits_on(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 0);
    assert_int_equal(f.account.hold.n, 1);
    rotate(ROTATION_UNRESOLVED);
    hold_release(&f.account.hold, true);
    assert_string_equal(f.state, "unresolved");
}

static void test_only_new_orders_wait_for_a_quiet_moment(void **state)
{
    (void)state;
    rotate(ROTATION_DRAINING);
    f.rotation.orders_held = true;
    assert_string_equal(ask(FETCH_HEADER, ""), "signed");
    f.outcomes = 0;
    (void)order();
    assert_int_equal(f.outcomes, 0);
    f.rotation.orders_held = false;
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "unset");
}

static void test_what_left_is_noted(void **state)
{
    (void)state;
    assert_int_equal(f.account.released_ms, 0);
    assert_string_equal(order(), "signed");
    assert_true(f.account.released_ms > 0);
    assert_int_equal(f.account.in_flight, 0);
    assert_int_equal(
        open_orders_count(&f.account.orders, 1000, f.account.released_ms), 1);
}

static void test_what_is_at_the_token_is_counted(void **state)
{
    (void)state;
    fakes.hold = true;
    (void)order();
    assert_int_equal(f.account.in_flight, 1);
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.account.in_flight, 0);
    assert_int_equal(f.signature_len, 64);
}

/* The order will be open when its signature has left. */
static void test_an_order_at_the_token_is_waited_for(void **state)
{
    (void)state;
    rotate(ROTATION_DRAINING);
    f.rotation.row.order_drain_s = 60;
    fakes.hold = true;
    (void)ask(FETCH_HEADER, "");
    assert_true(rotate_is_quiet(&f.account));
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    (void)order();
    assert_false(rotate_is_quiet(&f.account));
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.account.new_orders, 0);
    assert_false(rotate_is_quiet(&f.account));
}

static void on_destroyed(const char *error, const struct token_answer *answer,
                         void *userdata)
{
    (void)answer;
    *(const char **)userdata = error;
}

static void assert_kept(void)
{
    const char *error = NULL;

    rotate_destroy(&f.account, NULL, on_destroyed, &error);
    assert_string_equal(error, "Busy");
    assert_int_equal(fakes.asked, 0);
    assert_false(f.rotation.busy);
    assert_int_equal(f.rotation.row.state, ROTATION_CLEANED);
}

/* Key and registry do not agree, or the registry may be an old copy: the timer
 * must not go on either. */
static void test_nothing_is_destroyed_while_a_key_is_unclear(void **state)
{
    char why[] = "its key is not on the token", old[] = "old", hsm[] = "hsm";

    (void)state;
    rotate(ROTATION_CLEANED);
    f.rotation.row.old_label = old;
    f.rotation.row.old_token = f.rotation.row.new_token = hsm;
    f.account.unresolved = why;
    assert_kept();
    f.account.unresolved = NULL;
    f.account.row.must_ask = true;
    assert_kept();
}

static void test_a_signature_of_a_retired_key_does_not_leave(void **state)
{
    (void)state;
    fakes.hold = true;
    (void)ask(FETCH_HEADER, "");
    change_key();
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_string_equal(reason_code(f.reason), "key-changed");
    assert_int_equal(f.signature_len, 0);
    assert_int_equal(f.account.released_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DECIDE_TEST(test_a_copied_registry_signs_nothing),
        DECIDE_TEST(test_states_that_sign_as_ever),
        DECIDE_TEST(test_states_that_sign_nothing),
        DECIDE_TEST(test_what_would_be_signed_waits),
        DECIDE_TEST(test_what_is_refused_anyway_does_not_wait),
        DECIDE_TEST(test_who_waited_is_judged_again),
        DECIDE_TEST(test_who_believes_in_the_old_key_is_told),
        DECIDE_TEST(test_a_lookup_by_the_old_key_is_late),
        DECIDE_TEST(test_waiting_too_long_is_refused),
        DECIDE_TEST(test_who_still_may_not_waits_on),
        DECIDE_TEST(test_only_new_orders_wait_for_a_quiet_moment),
        DECIDE_TEST(test_what_left_is_noted),
        DECIDE_TEST(test_what_is_at_the_token_is_counted),
        DECIDE_TEST(test_an_order_at_the_token_is_waited_for),
        DECIDE_TEST(test_nothing_is_destroyed_while_a_key_is_unclear),
        DECIDE_TEST(test_a_signature_of_a_retired_key_does_not_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
