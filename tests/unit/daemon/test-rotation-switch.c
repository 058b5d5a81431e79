/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rotation-fixture.h"

/* The request to the CA, its answer, and the word that the switch holds. */

/* The row's text is shown as JSON ever after. */
static void test_a_text_is_never_half_a_character(void **state)
{
    struct rotation_answer a = ERROR(403, "unauthorized");
    char detail[200] = "x";

    (void)state;
    for (size_t i = 1; i + 2 < sizeof(detail); i += 2)
        memcpy(detail + i, "\xc3\xa9", 3);
    a.detail = detail;
    (void)hear(ROTATION_ASK_KEY_CHANGE, a);
    assert_non_null(strstr(f.step.text, "unauthorized: x??"));
    for (const char *c = f.step.text; *c; c++)
        assert_in_range(*c, ' ', '~');
}

static void test_the_request_waits_for_what_was_signed(void **state)
{
    uint64_t wait_ms;

    (void)state;
    f.row.sent_s = 0;
    assert_int_equal(
        rotation_question(&f.row, &f.run, false, f.now.ms, &wait_ms),
        ROTATION_ASK_NONE);
    assert_string_equal(asked(), "key-change");
    f.row.sent_s = 1; /* its answer is waited for */
    assert_string_equal(asked(), "none");
}

static void test_only_200_is_a_switch(void **state)
{
    (void)state;
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, STATUS(200)), "switched");
    assert_null(f.row.reason);
    assert_string_equal(asked(), "confirm-new-key");
}

/* What could have been done all the same. */
static void test_what_is_not_definite_is_unresolved(void **state)
{
    static const struct rotation_answer cases[] = {
        { 0 },
        { .http_status = 201 },
        { .http_status = 204 },
        { .http_status = 400 }, /* of whom? */
        { .http_status = 403, .problem = "about:blank" },
        { .http_status = 408 },
        { .http_status = 500, .problem = PROBLEM "serverInternal" },
        { .http_status = 502 },
        { .http_status = 503, .problem = PROBLEM "malformed" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setup(state);
        print_message("%u\n", cases[i].http_status);
        assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, cases[i]),
                            "unresolved");
        assert_string_equal(f.row.reason, "answer-lost");
        assert_string_equal(asked(), "spend-nonce");
    }
}

static void test_a_refusal_is_believed_when_the_old_key_is_proven(void **state)
{
    static const struct {
        struct rotation_answer a;
        const char *reason;
    } cases[] = {
        { { .http_status = 409 }, "key-in-use" },
        { { .http_status = 404 }, "key-change-unsupported" },
        { { .http_status = 501 }, "key-change-unsupported" },
        { { .http_status = 500, .detail = "Not Implemented here" },
          "key-change-unsupported" },
        { { .http_status = 429 }, "rate-limited" },
        { { .http_status = 403, .problem = PROBLEM "rateLimited" },
          "rate-limited" },
        { { .http_status = 400, .problem = PROBLEM "malformed" }, "refused" },
        { { .http_status = 403, .problem = PROBLEM "unauthorized" },
          "refused" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setup(state);
        print_message("%s\n", cases[i].reason);
        assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, cases[i].a),
                            "switching");
        assert_string_equal(f.row.reason, cases[i].reason);
        assert_string_equal(asked(), "spend-nonce");
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "unasked");
        assert_string_equal(hear(ROTATION_ASK_SPEND, OPENS), "switching");
        assert_true(f.row.spent);
        assert_string_equal(asked(), "find-new-key");
        assert_string_equal(
            hear(ROTATION_ASK_FIND_NEW, ERROR(400, "accountDoesNotExist")),
            "switching");
        assert_string_equal(asked(), "try-old-key");
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, STATUS(502)),
                            "switching"); /* says nothing: again */
        assert_true(f.run.not_before_ms > f.now.ms);
        assert_string_equal(asked(), "try-old-key");
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS),
                            "switch-refused");
        assert_string_equal(f.row.reason, cases[i].reason);
    }
}

/* It said no, and what it does says otherwise. */
static void test_a_refusal_that_is_none_is_unresolved(void **state)
{
    for (int i = 0; i < 3; i++) {
        setup(state);
        (void)hear(ROTATION_ASK_KEY_CHANGE, STATUS(409));
        if (i == 0) {
            assert_string_equal(
                hear(ROTATION_ASK_SPEND, ERROR(400, "malformed")),
                "unresolved");
            continue;
        }
        (void)hear(ROTATION_ASK_SPEND, ERROR(400, "badNonce"));
        assert_true(f.row.spent);
        if (i == 1) {
            assert_string_equal(hear(ROTATION_ASK_FIND_NEW, AT(OURS)),
                                "unresolved");
            continue;
        }
        (void)hear(ROTATION_ASK_FIND_NEW, AT("https://ca.example/acct/2"));
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, ERROR(400, "malformed")),
                            "unresolved");
    }
}

static void test_another_nonce_is_tried_a_few_times(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= ROTATION_TRIES; i++) {
        f.row.sent_s = 1;
        f.row.tries = i;
        assert_string_equal(
            hear(ROTATION_ASK_KEY_CHANGE, ERROR(400, "badNonce")), "switching");
        assert_true(f.row.spent);
        (void)hear(ROTATION_ASK_FIND_NEW, ERROR(400, "accountDoesNotExist"));
        if (i == ROTATION_TRIES)
            break;
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "switching");
        assert_string_equal(asked(), "key-change");
        assert_false(f.row.spent);
    }
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "switch-refused");
    assert_string_equal(f.row.reason, "bad-nonce");
}

static void test_the_new_key_is_confirmed_over_the_cache_time(void **state)
{
    uint64_t begin = f.now.ms;

    (void)state;
    f.row.state = ROTATION_SWITCHED;
    assert_string_equal(asked(), "confirm-new-key");
    (void)hear(ROTATION_ASK_CONFIRM, OPENS);
    assert_int_equal(f.run.not_before_ms, begin + 5000);
    assert_string_equal(asked(), "confirm-new-key");
    (void)hear(ROTATION_ASK_CONFIRM, OPENS);
    assert_int_equal(f.run.not_before_ms, begin + 10000);
    /* A front end that did not know it: all begins anew. */
    (void)asked();
    (void)hear(ROTATION_ASK_CONFIRM, NO_KEY);
    assert_int_equal(f.row.confirmed_s, 0);
    for (int i = 0; i < 3; i++) {
        (void)asked();
        if (i == 0)
            begin = f.now.ms;
        assert_int_equal(f.row.confirmed_s, 0);
        (void)hear(ROTATION_ASK_CONFIRM, OPENS);
    }
    assert_int_equal(f.row.confirmed_s, f.now.s);
    assert_int_equal(f.now.ms, begin + 10000);
    assert_string_equal(asked(), "none");
}

/* Once a second, for @s seconds; the last word is said at their end. */
static const char *confirm_for(unsigned s, struct rotation_answer a)
{
    const char *said = "none";

    for (unsigned i = 0; i <= s; i++) {
        f.run.not_before_ms = 0;
        said = hear(ROTATION_ASK_CONFIRM, a);
        f.now.ms += 1000;
    }
    f.now.ms -= 1000;
    return said;
}

/* HTTP status 200, and the CA still has the old key. */
static void test_a_200_that_was_a_lie_is_found_out(void **state)
{
    (void)state;
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, STATUS(200)), "switched");
    assert_string_equal(confirm_for(29, NO_KEY), "switched");
    assert_int_equal(f.row.confirmed_s, 0);
    f.now.ms += 1000;
    assert_string_equal(hear(ROTATION_ASK_CONFIRM, NO_KEY), "unresolved");
    assert_string_equal(f.row.reason, "new-key-refused");
    assert_string_equal(asked(), "spend-nonce");
    f.row.spent = true;
    (void)ask_round(NO_KEY, NO_KEY, OPENS);
    f.now.ms += ROTATION_CONSISTENT_MS;
    assert_string_equal(ask_round(NO_KEY, NO_KEY, OPENS), "switch-refused");
}

/* Within the cache time: it is over when that is. */
static void test_a_cache_lasts_from_the_switch(void **state)
{
    uint64_t begin = f.now.ms;

    (void)state;
    (void)hear(ROTATION_ASK_KEY_CHANGE, STATUS(200));
    (void)confirm_for(9, NO_KEY);
    assert_false(f.run.late);
    f.now.ms += 500;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f.row.confirmed_s, 0);
        assert_string_equal(asked(), "confirm-new-key");
        (void)hear(ROTATION_ASK_CONFIRM, OPENS);
    }
    (void)asked();
    assert_true(f.row.confirmed_s > 0);
    assert_int_equal(f.now.ms, begin + 10000);
}

/* The front ends know only the old key for a while. */
static void test_a_late_front_end_is_no_lie(void **state)
{
    (void)state;
    (void)hear(ROTATION_ASK_KEY_CHANGE, STATUS(200));
    assert_string_equal(confirm_for(5, NO_KEY), "switched");
    assert_string_equal(confirm_for(0, OPENS), "switched");
    /* One of them goes on for longer than is good. */
    assert_string_equal(confirm_for(60, NO_KEY), "switched");
    assert_string_equal(confirm_for(10, OPENS), "switched");
    assert_true(f.row.confirmed_s > 0);
}

static void test_silence_is_no_refusal(void **state)
{
    (void)state;
    (void)hear(ROTATION_ASK_KEY_CHANGE, STATUS(200));
    assert_string_equal(confirm_for(60, STATUS(502)), "switched");
    f.row.kind = ROTATION_KIND_MOVE; /* asked the CA for no switch */
    f.row.sent_s = 0;
    assert_string_equal(confirm_for(60, NO_KEY), "switched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROTATION_TEST(test_a_text_is_never_half_a_character),
        ROTATION_TEST(test_the_request_waits_for_what_was_signed),
        ROTATION_TEST(test_only_200_is_a_switch),
        ROTATION_TEST(test_what_is_not_definite_is_unresolved),
        ROTATION_TEST(test_a_refusal_is_believed_when_the_old_key_is_proven),
        ROTATION_TEST(test_a_refusal_that_is_none_is_unresolved),
        ROTATION_TEST(test_another_nonce_is_tried_a_few_times),
        ROTATION_TEST(test_the_new_key_is_confirmed_over_the_cache_time),
        ROTATION_TEST(test_a_200_that_was_a_lie_is_found_out),
        ROTATION_TEST(test_a_cache_lasts_from_the_switch),
        ROTATION_TEST(test_a_late_front_end_is_no_lie),
        ROTATION_TEST(test_silence_is_no_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
