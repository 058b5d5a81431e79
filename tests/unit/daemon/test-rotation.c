/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rotation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OURS "https://ca.example/acct/1"
#define PROBLEM "urn:ietf:params:acme:error:"

static struct fixture {
    struct store_rotation row;
    struct rotation_run run;
    struct rotation_clock now;
    struct rotation_step step;
} f;

static char old_key[] = "old", new_key[] = "new", reason[64];

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){
        .row = { .state = ROTATION_SWITCHING,
                 .old_thumbprint = old_key,
                 .new_thumbprint = new_key,
                 .cache_s = 10,
                 .sent_s = 1000,
                 .tries = 1 },
        .now = { .s = 2000, .ms = 500000 },
    };
    return 0;
}

/* As the daemon does: what was heard becomes what is. */
static const char *hear(enum rotation_ask ask, struct rotation_answer a)
{
    if (rotation_hear(&f.row, &f.run, ask, &a, OURS, &f.now, &f.step))
        return "unasked";
    f.row = f.step.row;
    f.run = f.step.run;
    if (f.row.reason && f.row.reason != reason) {
        (void)snprintf(reason, sizeof(reason), "%s", f.row.reason);
        f.row.reason = reason;
    }
    return rotation_state_name(f.row.state);
}

static const char *asked(void)
{
    uint64_t wait_ms;

    f.now.ms = f.now.ms > f.run.not_before_ms ? f.now.ms : f.run.not_before_ms;
    return rotation_ask_name(
        rotation_question(&f.row, &f.run, true, f.now.ms, &wait_ms));
}

#define NOTHING ((struct rotation_answer){ 0 })
#define STATUS(n) ((struct rotation_answer){ .http_status = (n) })
#define ERROR(n, name)                                                         \
    ((struct rotation_answer){ .http_status = (n), .problem = PROBLEM name })
#define OPENS                                                                  \
    ((struct rotation_answer){ .http_status = 200, .account_status = "valid" })
#define AT(url)                                                                \
    ((struct rotation_answer){ .http_status = 200, .location = (url) })

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

static void lose(void)
{
    (void)setup(NULL);
    assert_string_equal(hear(ROTATION_ASK_KEY_CHANGE, NOTHING), "unresolved");
}

/* One round of questions; the last state. */
static const char *ask_round(struct rotation_answer find,
                             struct rotation_answer by_new,
                             struct rotation_answer by_old)
{
    const char *s;

    if (strcmp(asked(), "spend-nonce") == 0)
        (void)hear(ROTATION_ASK_SPEND, OPENS);
    assert_string_equal(asked(), "find-new-key");
    (void)hear(ROTATION_ASK_FIND_NEW, find);
    assert_string_equal(asked(), "try-new-key");
    s = hear(ROTATION_ASK_NEW_KEY, by_new);
    if (f.row.state != ROTATION_UNRESOLVED)
        return s;
    assert_string_equal(asked(), "try-old-key");
    return hear(ROTATION_ASK_OLD_KEY, by_old);
}

#define GONE ERROR(400, "accountDoesNotExist")
#define NO_KEY ERROR(400, "malformed")

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

#define ROTATION_TEST(name) cmocka_unit_test_setup(name, setup)

/* ---- other kinds ---- */

static void be(enum rotation_kind kind, enum rotation_state state)
{
    (void)setup(NULL);
    f.row.kind = kind;
    f.row.state = state;
    f.row.sent_s = 0;
}

static void test_a_compromised_key_is_asked_about_first(void **state)
{
    (void)state;
    be(ROTATION_KIND_PLANNED, ROTATION_PLANNED);
    assert_string_equal(asked(), "none");
    be(ROTATION_KIND_COMPROMISED, ROTATION_PLANNED);
    assert_string_equal(asked(), "try-old-key");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, STATUS(502)), "planned");
    assert_string_equal(asked(), "try-old-key");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "planned");
    assert_string_equal(asked(), "none"); /* the new key can be made */
    assert_false(f.row.old_lost);
}

/* Not by one answer, of a front end that is out of order. */
static void test_who_was_robbed_is_told(void **state)
{
    (void)state;
    be(ROTATION_KIND_COMPROMISED, ROTATION_PLANNED);
    for (unsigned i = 1; i < ROTATION_REFUSALS; i++) {
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, ERROR(400, "malformed")),
                            "planned");
        assert_string_equal(f.row.reason, "old-key-refused");
        assert_string_equal(asked(), "try-old-key");
    }
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, STATUS(500)), "planned");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, ERROR(403, "unauthorized")),
                        "account-lost");
    assert_true(rotation_is_lost(&f.row));
    assert_string_equal(asked(), "none");
    f.row.state = ROTATION_PLANNED; /* asked again */
    assert_true(rotation_is_lost(&f.row));
    (void)hear(ROTATION_ASK_OLD_KEY, OPENS);
    assert_false(rotation_is_lost(&f.row));
    assert_null(f.row.reason);
}

static void test_a_refusal_in_between_does_not_count(void **state)
{
    (void)state;
    be(ROTATION_KIND_COMPROMISED, ROTATION_PLANNED);
    (void)hear(ROTATION_ASK_OLD_KEY, ERROR(400, "malformed"));
    assert_string_equal(asked(), "try-old-key");
    (void)hear(ROTATION_ASK_OLD_KEY, OPENS);
    assert_string_equal(asked(), "none");
    assert_null(f.row.reason);
}

#define REGISTERED(url)                                                        \
    ((struct rotation_answer){                                                 \
        .http_status = 201, .location = (url), .account_status = "valid" })

static void test_a_move_registers_another_account(void **state)
{
    static char other[] = "https://ca.example/acct/2";

    (void)state;
    be(ROTATION_KIND_MOVE, ROTATION_KEY_GENERATED);
    assert_string_equal(asked(), "register");
    (void)hear(ROTATION_ASK_REGISTER, STATUS(201));
    assert_null(f.row.new_url);
    (void)hear(ROTATION_ASK_REGISTER, REGISTERED(OURS));
    assert_null(f.row.new_url);
    (void)hear(ROTATION_ASK_REGISTER, ERROR(403, "userActionRequired"));
    assert_string_equal(f.row.reason, "registration-refused");
    assert_string_equal(asked(), "register");
    (void)hear(ROTATION_ASK_REGISTER, REGISTERED(other));
    assert_string_equal(f.row.new_url, other);
    assert_null(f.row.reason);
    /* Whose it is, nobody believes before it was asked. */
    assert_string_equal(asked(), "try-new-key");
    (void)hear(ROTATION_ASK_NEW_KEY, ERROR(400, "malformed"));
    assert_string_equal(f.row.reason, "account-not-ours");
    assert_string_equal(asked(), "try-new-key");
    (void)hear(ROTATION_ASK_NEW_KEY, STATUS(502));
    assert_string_equal(asked(), "try-new-key");
    (void)hear(ROTATION_ASK_NEW_KEY, OPENS);
    assert_null(f.row.reason);
    assert_string_equal(asked(), "none");
}

static void test_a_move_changes_no_key_at_the_ca(void **state)
{
    (void)state;
    be(ROTATION_KIND_MOVE, ROTATION_SWITCHING);
    assert_string_equal(asked(), "none");
    be(ROTATION_KIND_MOVE, ROTATION_SWITCHED);
    assert_string_equal(asked(), "confirm-new-key");
    be(ROTATION_KIND_MOVE, ROTATION_ABORTING);
    f.row.new_jwk = new_key;
    assert_string_equal(asked(), "none");
}

static void test_the_old_account_ends_before_its_key(void **state)
{
    static const struct {
        struct rotation_answer a;
        bool done;
    } cases[] = {
        { { .http_status = 200, .account_status = "deactivated" }, true },
        { { .http_status = 403, .problem = PROBLEM "unauthorized" }, false },
        { { .http_status = 400, .problem = PROBLEM "accountDoesNotExist" },
          true },
        { { .http_status = 200, .account_status = "valid" }, false },
        { { .http_status = 200 }, false },
        { { .http_status = 400, .problem = PROBLEM "malformed" }, false },
        { { .http_status = 502 }, false },
        { { 0 }, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
        assert_true(rotation_deactivates(&f.row, &f.run));
        assert_string_equal(hear(ROTATION_ASK_DEACTIVATE, cases[i].a),
                            "cleaned");
        assert_int_equal(rotation_deactivates(&f.row, &f.run), !cases[i].done);
    }
    be(ROTATION_KIND_PLANNED, ROTATION_CLEANED);
    assert_false(rotation_deactivates(&f.row, &f.run));
    assert_string_equal(hear(ROTATION_ASK_DEACTIVATE, OPENS), "unasked");
    be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
    f.row.old_lost = true; /* nobody here can */
    assert_false(rotation_deactivates(&f.row, &f.run));
    assert_false(rotation_is_lost(&f.row)); /* the new one is in its place */
    f.row.state = ROTATION_ABORTED;
    assert_true(rotation_is_lost(&f.row));
}

/* It may be unauthorized for any reason, and its key is destroyed next. */
static void test_unauthorized_is_not_deactivated_yet(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
        assert_int_equal(rotation_deactivation(&f.run),
                         ROTATION_ASK_DEACTIVATE);
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "unasked");
        (void)hear(ROTATION_ASK_DEACTIVATE, ERROR(403, "unauthorized"));
        assert_int_equal(rotation_deactivation(&f.run), ROTATION_ASK_OLD_KEY);
        (void)hear(ROTATION_ASK_OLD_KEY, STATUS(502));
        assert_int_equal(rotation_deactivation(&f.run), ROTATION_ASK_OLD_KEY);
        (void)hear(ROTATION_ASK_OLD_KEY,
                   i == 0 ? OPENS : ERROR(403, "unauthorized"));
        assert_int_equal(rotation_deactivates(&f.row, &f.run), i == 0);
    }
    be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
    (void)hear(ROTATION_ASK_DEACTIVATE, ERROR(403, "unauthorized"));
    (void)hear(ROTATION_ASK_OLD_KEY, OPENS);
    assert_string_equal(f.row.reason, "deactivation-refused");
    assert_int_equal(rotation_deactivation(&f.run), ROTATION_ASK_DEACTIVATE);
}

/* Its key is the only one that opens anything. */
static void test_the_only_account_that_is_left_is_not_given_up(void **state)
{
    static char other[] = "https://ca.example/acct/2";

    (void)state;
    be(ROTATION_KIND_MOVE, ROTATION_KEY_GENERATED);
    f.row.sent_s = 0;
    f.row.old_lost = true;
    assert_true(rotation_may_abort(&f.row));
    f.row.new_url = other;
    assert_false(rotation_may_abort(&f.row));
    f.row.old_lost = false;
    assert_true(rotation_may_abort(&f.row));
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
        ROTATION_TEST(test_the_arrows),
        ROTATION_TEST(test_every_state_says_what_is_next),
        ROTATION_TEST(test_a_text_is_never_half_a_character),
        ROTATION_TEST(test_it_is_aborted_until_the_request_is_out),
        ROTATION_TEST(test_the_request_waits_for_what_was_signed),
        ROTATION_TEST(test_only_200_is_a_switch),
        ROTATION_TEST(test_what_is_not_definite_is_unresolved),
        ROTATION_TEST(test_a_refusal_is_believed_when_the_old_key_is_proven),
        ROTATION_TEST(test_a_refusal_that_is_none_is_unresolved),
        ROTATION_TEST(test_another_nonce_is_tried_a_few_times),
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
        ROTATION_TEST(test_the_new_key_is_confirmed_over_the_cache_time),
        ROTATION_TEST(test_a_200_that_was_a_lie_is_found_out),
        ROTATION_TEST(test_a_cache_lasts_from_the_switch),
        ROTATION_TEST(test_a_late_front_end_is_no_lie),
        ROTATION_TEST(test_silence_is_no_refusal),
        ROTATION_TEST(test_what_was_not_asked_is_not_heard),
        ROTATION_TEST(test_a_compromised_key_is_asked_about_first),
        ROTATION_TEST(test_who_was_robbed_is_told),
        ROTATION_TEST(test_a_refusal_in_between_does_not_count),
        ROTATION_TEST(test_a_move_registers_another_account),
        ROTATION_TEST(test_a_move_changes_no_key_at_the_ca),
        ROTATION_TEST(test_the_old_account_ends_before_its_key),
        ROTATION_TEST(test_unauthorized_is_not_deactivated_yet),
        ROTATION_TEST(test_the_only_account_that_is_left_is_not_given_up),
        ROTATION_TEST(test_which_keys_are_outside),
        ROTATION_TEST(test_names),
        cmocka_unit_test(test_orders_are_held_within_the_longest_hold),
        cmocka_unit_test_setup(test_after_a_start_the_old_key_is_asked_first,
                               setup),
        cmocka_unit_test_setup(test_what_cannot_be_old_is_not_asked_about,
                               setup),
        cmocka_unit_test_setup(test_a_key_that_is_on_no_token_is_a_no, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
