/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/ahead.h"

static const struct token_request sign_k = { .op = TOKEN_OP_SIGN,
                                             .label = "k" };
static const struct token_request sign_other = { .op = TOKEN_OP_SIGN,
                                                 .label = "other" };
static const struct token_request find_k = { .op = TOKEN_OP_FIND,
                                             .label = "k" };

/* A request that @took_us, @pause_us after the last one. */
static bool one(struct ahead *h, const struct token_request *request,
                uint64_t *now_us, uint64_t pause_us, uint64_t took_us)
{
    *now_us += pause_us;
    assert_false(ahead_take(h, request, true, *now_us));
    *now_us += took_us;
    return ahead_wanted(h, request, true, *now_us);
}

/* Until the next signature is begun. */
static void make_hot(struct ahead *h, uint64_t *now_us)
{
    for (int i = 1; i < AHEAD_STREAK; i++)
        assert_false(one(h, &sign_k, now_us, 50, 70));
    assert_true(one(h, &sign_k, now_us, 50, 70));
}

static void test_only_a_streak_is_worth_it(void **state)
{
    static const struct {
        const struct token_request *request;
        uint64_t pause_us, took_us;
    } breaks[] = {
        { &sign_other, 50, 70 },
        { &find_k, 50, 70 },
        { &sign_k, AHEAD_PAUSE_US + 1, 70 },
        { &sign_k, 50, AHEAD_FAST_US + 1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
        struct ahead h = { 0 };
        uint64_t now_us = 1000000;

        for (int n = 1; n < AHEAD_STREAK; n++)
            assert_false(one(&h, &sign_k, &now_us, 50, 70));
        assert_false(one(&h, breaks[i].request, &now_us, breaks[i].pause_us,
                         breaks[i].took_us));
        for (int n = 2; n < AHEAD_STREAK; n++)
            assert_false(one(&h, &sign_k, &now_us, 50, 70));
    }
}

static void test_what_was_begun_serves_its_key_alone(void **state)
{
    static const struct {
        const struct token_request *request;
        bool known;
        uint64_t pause_us;
        bool in_the_way;
    } cases[] = {
        { &sign_k, true, 50, false },
        { &sign_k, true, AHEAD_FRESH_US, false },
        { &sign_k, true, AHEAD_FRESH_US + 1, true },
        { &sign_k, false, 50, true },
        { &sign_other, true, 50, true },
        { &find_k, true, 50, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ahead h = { 0 };
        uint64_t now_us = 1000000;

        make_hot(&h, &now_us);
        now_us += cases[i].pause_us;
        assert_int_equal(
            ahead_take(&h, cases[i].request, cases[i].known, now_us),
            cases[i].in_the_way);
        /* Once: after that the session is as it should be. */
        assert_false(ahead_take(&h, &find_k, false, now_us));
    }
}

static void test_after_a_failure_nothing_is_begun(void **state)
{
    struct ahead h = { 0 };
    uint64_t now_us = 1000000;

    (void)state;
    make_hot(&h, &now_us);
    assert_false(ahead_take(&h, &sign_k, true, now_us));
    assert_false(ahead_wanted(&h, &sign_k, false, now_us));
    assert_false(one(&h, &sign_k, &now_us, 50, 70));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_streak_is_worth_it),
        cmocka_unit_test(test_what_was_begun_serves_its_key_alone),
        cmocka_unit_test(test_after_a_failure_nothing_is_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
