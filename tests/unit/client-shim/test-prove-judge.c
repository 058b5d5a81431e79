/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client-shim/ctl-prove.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define ACME "urn:ietf:params:acme:error:"
#define OURS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define THEIRS "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct net_answer a;
static struct buf words;
static const char *reason;

static void set_answer(enum net_result result, uint32_t http_status)
{
    memset(&a, 0, sizeof(a));
    a.kind = NET_KIND_ACCOUNT;
    a.result = result;
    a.http_status = http_status;
}

static enum prove_verdict judge(bool elsewhere)
{
    const struct prove_question q = { "https://ca.example/a/1", OURS,
                                      elsewhere };
    enum prove_verdict verdict = PROVE_UNSET;

    buf_clear(&words);
    assert_int_equal(prove_judge(&a, &q, &verdict, &reason, &words), 0);
    assert_int_equal(verdict == PROVE_NOT, reason != NULL);
    assert_true(words.len <= PROVE_TEXT_MAX);
    if (verdict == PROVE_NOT)
        assert_true(words.len > 0);
    return verdict;
}

static void test_only_a_whole_answer_makes_it_ours(void **state)
{
    static const struct {
        uint32_t http_status, names_key;
        const char *status, *thumbprint;
        enum prove_verdict verdict;
        const char *reason;
    } cases[] = {
        { 200, 0, "valid", "", PROVE_OURS, NULL },
        { 200, 1, "valid", OURS, PROVE_OURS, NULL },
        { 200, 1, "valid", THEIRS, PROVE_NOT, "account-not-ours" },
        { 200, 1, "valid", "", PROVE_NOT, "account-not-ours" },
        { 201, 1, "valid", OURS, PROVE_NOT, "account-not-ours" },
        { 204, 0, "valid", "", PROVE_NOT, "account-not-ours" },
        { 200, 1, "deactivated", OURS, PROVE_NOT, "account-not-valid" },
        { 200, 0, "revoked", "", PROVE_NOT, "account-not-valid" },
        { 200, 0, "Valid", "", PROVE_NOT, "account-not-valid" },
        { 200, 1, "revoked", THEIRS, PROVE_NOT, "account-not-ours" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_answer(NET_RESULT_OK, cases[i].http_status);
        a.account.names_key = cases[i].names_key;
        (void)strcpy(a.account.status, cases[i].status);
        (void)strcpy(a.account.thumbprint, cases[i].thumbprint);
        if (judge(false) != cases[i].verdict)
            fail_msg("%zu: %s", i, buf_str(&words));
        if (reason != cases[i].reason)
            assert_string_equal(reason, cases[i].reason);
    }
}

static void test_a_refusal_is_not_ours(void **state)
{
    static const struct {
        uint32_t http_status;
        const char *type;
    } cases[] = {
        { 400, ACME "malformed" },    { 400, ACME "accountDoesNotExist" },
        { 403, ACME "unauthorized" }, { 401, "" },
        { 404, "about:blank" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_answer(NET_RESULT_OK, cases[i].http_status);
        (void)strcpy(a.problem.type, cases[i].type);
        assert_int_equal(judge(false), PROVE_NOT);
        assert_string_equal(reason, "account-not-ours");
    }
}

static void test_who_does_not_answer_leaves_it_open(void **state)
{
    static const struct {
        enum net_result result;
        uint32_t http_status;
        const char *type;
    } cases[] = {
        { NET_RESULT_CONNECT, 0, "" },
        { NET_RESULT_TIMEOUT, 0, "" },
        { NET_RESULT_OK, 429, ACME "rateLimited" },
        { NET_RESULT_OK, 403, ACME "rateLimited" },
        { NET_RESULT_OK, 500, ACME "serverInternal" },
        { NET_RESULT_OK, 503, "" },
        { NET_RESULT_OK, 400, ACME "badNonce" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_answer(cases[i].result, cases[i].http_status);
        (void)strcpy(a.problem.type, cases[i].type);
        assert_int_equal(judge(false), PROVE_UNKNOWN);
        assert_int_equal(judge(true), PROVE_UNKNOWN);
    }
}

static void test_who_answers_nonsense_is_not_ours(void **state)
{
    static const enum net_result results[] = { NET_RESULT_REDIRECT,
                                               NET_RESULT_TOO_LARGE,
                                               NET_RESULT_BAD_ANSWER };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        set_answer(results[i], 0);
        assert_int_equal(judge(false), PROVE_NOT);
        assert_string_equal(reason, "account-not-ours");
    }
}

/* Of the directory's host it may be a forgotten --ca-file. */
static void test_a_certificate_counts_elsewhere(void **state)
{
    (void)state;
    set_answer(NET_RESULT_TLS, 0);
    assert_int_equal(judge(false), PROVE_UNKNOWN);
    assert_int_equal(judge(true), PROVE_NOT);
    assert_string_equal(reason, "account-host-untrusted");
}

/* newNonce of a CA may say what it likes: it was not the question. */
static void test_an_answer_to_something_else_says_nothing(void **state)
{
    (void)state;
    for (unsigned result = NET_RESULT_OK; result < NET_RESULT_COUNT; result++) {
        set_answer((enum net_result)result, result == NET_RESULT_OK ? 404 : 0);
        a.kind = NET_KIND_NONCE;
        assert_int_equal(judge(false), PROVE_UNKNOWN);
    }
}

static void test_long_words_are_cut(void **state)
{
    (void)state;
    set_answer(NET_RESULT_OK, 403);
    memset(a.problem.detail, 'x', NET_DETAIL_MAX);
    assert_int_equal(judge(false), PROVE_NOT);
    assert_int_equal(words.len, PROVE_TEXT_MAX);
    assert_int_equal(strlen(buf_str(&words)), PROVE_TEXT_MAX);
}

static int tear_down(void **state)
{
    (void)state;
    buf_deinit(&words);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_a_whole_answer_makes_it_ours),
        cmocka_unit_test(test_a_refusal_is_not_ours),
        cmocka_unit_test(test_who_does_not_answer_leaves_it_open),
        cmocka_unit_test(test_who_answers_nonsense_is_not_ours),
        cmocka_unit_test(test_a_certificate_counts_elsewhere),
        cmocka_unit_test(test_an_answer_to_something_else_says_nothing),
        cmocka_unit_test(test_long_words_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down);
}
