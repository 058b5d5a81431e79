/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rotation-fixture.h"

/* Which key the CA has, found out by asking. */

static void lose(void)
{
    (void)setup(NULL);
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, NOTHING), "unresolved");
}

static void test_lost_and_switched(void **state)
{
    (void)state;
    lose();
    assert_string_equal(ask_round(AT(OURS), OPENS, NO_KEY), "switched");
    assert_null(f.row.reason);
}

/* Both words are needed: one alone may be a front end's. */
static void test_half_a_yes_is_asked_again(void **state)
{
    (void)state;
    lose();
    for (int i = 0; i < 100; i++) {
        assert_string_equal(ask_round(AT(OURS), NO_KEY, OPENS), "unresolved");
        assert_string_equal(ask_round(GONE, OPENS, NO_KEY), "unresolved");
        f.now.ms += 5000;
    }
    assert_string_equal(ask_round(AT(OURS), OPENS, NO_KEY), "switched");
}

static void test_not_switched_is_final_after_a_minute(void **state)
{
    uint64_t begin;

    (void)state;
    lose();
    begin = f.now.ms;
    while (strcmp(ask_round(GONE, NO_KEY, OPENS), "unresolved") == 0)
        assert_true(f.now.ms < begin + 70000);
    assert_int_equal(f.row.state, ROTATION_SWITCH_REFUSED);
    assert_true(f.now.ms >= begin + ROTATION_CONSISTENT_MS);
    assert_string_equal(f.row.reason, "answer-lost");
}

static void test_a_late_switch_is_seen_until_then(void **state)
{
    (void)state;
    lose();
    for (int i = 0; i < 10; i++) {
        assert_string_equal(ask_round(GONE, NO_KEY, OPENS), "unresolved");
        f.now.ms += 2000;
    }
    assert_string_equal(ask_round(AT(OURS), OPENS, OPENS), "switched");
}

static void test_a_contradiction_begins_the_minute_anew(void **state)
{
    (void)state;
    lose();
    (void)ask_round(GONE, NO_KEY, OPENS);
    f.now.ms += 59000;
    assert_string_equal(ask_round(AT(OURS), NO_KEY, OPENS), "unresolved");
    f.now.ms += 1000;
    assert_string_equal(ask_round(GONE, NO_KEY, OPENS), "unresolved");
    f.now.ms += 59000;
    assert_string_equal(ask_round(GONE, NO_KEY, NO_KEY), "unresolved");
    f.now.ms += 59000;
    assert_string_equal(ask_round(GONE, NO_KEY, OPENS), "unresolved");
    f.now.ms += 60000;
    assert_string_equal(ask_round(GONE, NO_KEY, OPENS), "switch-refused");
}

static void test_silence_proves_nothing(void **state)
{
    (void)state;
    lose();
    (void)ask_round(GONE, NO_KEY, OPENS);
    for (int i = 0; i < 10; i++) {
        f.now.ms += 60000;
        assert_string_equal(ask_round(NOTHING, NO_KEY, OPENS), "unresolved");
        assert_string_equal(ask_round(GONE, STATUS(500), OPENS), "unresolved");
        assert_string_equal(ask_round(GONE, NO_KEY, STATUS(403)), "unresolved");
    }
    assert_string_equal(ask_round(GONE, NO_KEY, OPENS), "switch-refused");
}

/* A late keyChange could still be taken. */
static void test_without_its_nonce_spent_it_is_not_final(void **state)
{
    (void)state;
    lose();
    for (int i = 0; i < 10; i++) {
        f.now.ms += 60000;
        assert_string_equal(asked(), "spend-nonce");
        (void)hear(ROTATION_ASK_SPEND, NO_KEY);
        assert_false(f.row.spent);
        (void)hear(ROTATION_ASK_FIND_NEW, GONE);
        (void)hear(ROTATION_ASK_NEW_KEY, NO_KEY);
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "unresolved");
    }
}

static void test_another_account_is_an_error(void **state)
{
    (void)state;
    lose();
    (void)ask_round(AT("https://ca.example/acct/2"), NO_KEY, OPENS);
    assert_string_equal(f.row.reason, "foreign-location");
    f.now.ms += 60000;
    assert_string_equal(
        ask_round(AT("https://ca.example/acct/2"), NO_KEY, OPENS),
        "switch-refused");
    lose();
    (void)ask_round(STATUS(200), NO_KEY, OPENS); /* no Location at all */
    assert_string_equal(f.row.reason, "foreign-location");
}

static void test_neither_key_is_a_lost_account(void **state)
{
    (void)state;
    lose();
    assert_string_equal(ask_round(GONE, NO_KEY, NO_KEY), "unresolved");
    f.now.ms += 60000;
    assert_string_equal(ask_round(GONE, NO_KEY, NO_KEY), "account-lost");
}

static void test_a_key_opens_only_a_valid_account_with_itself(void **state)
{
    static const struct rotation_answer cases[] = {
        { .http_status = 200 },
        { .http_status = 200, .account_status = "deactivated" },
        { .http_status = 200, .account_status = "valid", .thumbprint = "old" },
        { .http_status = 200, .account_status = "valid", .thumbprint = "?" },
        { .http_status = 201, .account_status = "valid" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        lose();
        assert_string_equal(ask_round(AT(OURS), cases[i], NO_KEY),
                            "unresolved");
    }
    lose();
    assert_string_equal(
        ask_round(AT(OURS),
                  (struct rotation_answer){ .http_status = 200,
                                            .account_status = "valid",
                                            .thumbprint = "new" },
                  NO_KEY),
        "switched");
}

static void test_a_late_answer_counts_if_it_is_a_yes(void **state)
{
    (void)state;
    lose();
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, STATUS(409)), "unasked");
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, STATUS(200)), "switched");
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, STATUS(200)), "unasked");
}

static void abort_it(void)
{
    static char jwk[] = "{}";

    (void)setup(NULL);
    f.row.state = ROTATION_ABORTING;
    f.row.sent_s = 0;
    f.row.new_jwk = jwk;
}

static void test_an_abort_asks_for_the_old_key_first(void **state)
{
    (void)state;
    abort_it();
    assert_string_equal(asked(), "try-old-key");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, NOTHING), "aborting");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, STATUS(502)), "aborting");
    assert_true(f.run.not_before_ms > f.now.ms);
    assert_string_equal(asked(), "try-old-key");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "aborting");
    assert_string_equal(asked(), "none");
    assert_int_equal(f.run.old_key, ROTATION_YES);
}

/* The registry is a copy from before the CA switched. */
static void test_an_abort_after_a_switch_finds_the_new_key(void **state)
{
    (void)state;
    abort_it();
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, NO_KEY), "unresolved");
    assert_string_equal(f.row.reason, "old-key-refused");
    assert_string_equal(asked(), "find-new-key"); /* no nonce is known */
    assert_string_equal(ask_round(AT(OURS), OPENS, NO_KEY), "switched");
}

/* The registry may be a copy from before a switch. */
static void test_after_a_start_the_old_key_is_asked_first(void **state)
{
    static const enum rotation_state states[] = {
        ROTATION_PLANNED,          ROTATION_KEY_GENERATED,
        ROTATION_DRAINING,         ROTATION_RECORDS_PUBLISHED,
        ROTATION_RECORDS_VERIFIED,
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        (void)setup(state);
        f.row.kind = ROTATION_KIND_PLANNED;
        f.row.state = states[i];
        assert_true(rotation_may_be_old(&f.row));
        assert_string_not_equal(asked(), "try-old-key");
        f.run.unsure = true;
        assert_string_equal(asked(), "try-old-key");
        (void)hear(ROTATION_ASK_OLD_KEY, STATUS(502));
        assert_true(f.run.unsure);
        assert_string_equal(asked(), "try-old-key");
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS),
                            rotation_state_name(states[i]));
        assert_false(f.run.unsure);
        f.run.unsure = true;
        assert_string_equal(
            hear(ROTATION_ASK_OLD_KEY, ERROR(401, "unauthorized")), "aborting");
        assert_string_equal(f.row.reason, "old-key-refused");
    }
}

static void test_what_cannot_be_old_is_not_asked_about(void **state)
{
    static const enum rotation_state states[] = {
        ROTATION_SWITCHED, ROTATION_CLEANED,    ROTATION_DONE,
        ROTATION_ABORTED,  ROTATION_UNRESOLVED, ROTATION_ACCOUNT_LOST,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        f.row.kind = ROTATION_KIND_PLANNED;
        f.row.state = states[i];
        assert_false(rotation_may_be_old(&f.row));
    }
    f.row.state = ROTATION_DRAINING;
    f.row.kind = ROTATION_KIND_ADOPT;
    assert_false(rotation_may_be_old(&f.row));
    f.row.kind = ROTATION_KIND_MOVE;
    assert_false(rotation_may_be_old(&f.row));
}

/* Then it is none that could open the account for us. */
static void test_a_key_that_is_on_no_token_is_a_no(void **state)
{
    const struct rotation_answer no_key = { .no_key = true };

    (void)state;
    f.row.state = ROTATION_UNRESOLVED;
    f.row.kind = ROTATION_KIND_RESOLVE;
    f.row.spent = true;
    for (int i = 0; i < 2; i++) {
        (void)hear(ROTATION_ASK_FIND_NEW, no_key);
        (void)hear(ROTATION_ASK_NEW_KEY, no_key);
        assert_string_equal(f.row.reason ? f.row.reason : "", "");
        (void)hear(ROTATION_ASK_OLD_KEY, no_key);
        f.now.ms += ROTATION_CONSISTENT_MS;
    }
    assert_int_equal(f.row.state, ROTATION_ACCOUNT_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROTATION_TEST(test_lost_and_switched),
        ROTATION_TEST(test_half_a_yes_is_asked_again),
        ROTATION_TEST(test_not_switched_is_final_after_a_minute),
        ROTATION_TEST(test_a_late_switch_is_seen_until_then),
        ROTATION_TEST(test_a_contradiction_begins_the_minute_anew),
        ROTATION_TEST(test_silence_proves_nothing),
        ROTATION_TEST(test_without_its_nonce_spent_it_is_not_final),
        ROTATION_TEST(test_another_account_is_an_error),
        ROTATION_TEST(test_neither_key_is_a_lost_account),
        ROTATION_TEST(test_a_key_opens_only_a_valid_account_with_itself),
        ROTATION_TEST(test_a_late_answer_counts_if_it_is_a_yes),
        ROTATION_TEST(test_an_abort_asks_for_the_old_key_first),
        ROTATION_TEST(test_an_abort_after_a_switch_finds_the_new_key),
        ROTATION_TEST(test_after_a_start_the_old_key_is_asked_first),
        ROTATION_TEST(test_what_cannot_be_old_is_not_asked_about),
        ROTATION_TEST(test_a_key_that_is_on_no_token_is_a_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
