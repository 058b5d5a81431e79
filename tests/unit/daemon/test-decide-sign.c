/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "acme/b64url.h"
#include "decide-fixture.h"

static void test_what_is_allowed_is_written_then_signed(void **state)
{
    (void)state;
    assert_string_equal(order(), "signed");
    assert_string_equal(fakes.order, "ats");
    assert_string_equal(fakes.verdict, "allowed");
    assert_string_equal(fakes.rule, "p.policy:1");
    assert_string_equal(fakes.label, label);
    assert_int_equal(f.signature_len, 64);
    assert_int_equal(f.outcomes, 1);
}

static void test_exactly_the_octets_that_were_read_are_signed(void **state)
{
    CLEANUP_BUF struct buf want = { 0 };

    (void)state;
    assert_string_equal(order(), "signed");
    assert_int_equal(b64url_encode(bytes_from_str(ORDER_HEADER), &want), 0);
    assert_int_equal(buf_append_char(&want, '.'), 0);
    assert_int_equal(b64url_encode(bytes_from_str(ORDER("example.com")), &want),
                     0);
    assert_string_equal(fakes.input, buf_str(&want));
}

static void test_a_malformed_request_is_refused(void **state)
{
    (void)state;
    expect_refused(ask(ORDER_HEADER, "{\"identifiers\":[]}"), "no-identifiers");
    assert_string_equal(fakes.verdict, "malformed");
}

static void test_another_name_is_refused(void **state)
{
    (void)state;
    expect_refused(ask(ORDER_HEADER, ORDER("evil.example")),
                   "identifier-not-allowed");
    assert_string_equal(f.identifier, "evil.example");
    assert_string_equal(f.rule, "p.policy:1");
    assert_string_equal(f.operation, "order");
    assert_string_equal(fakes.verdict, "denied");
}

static void test_another_caller_is_refused(void **state)
{
    (void)state;
    f.peer.uid = 1001;
    expect_refused(order(), "no-rule");
}

static void test_a_suspended_account_is_refused(void **state)
{
    static char all[] = "all";

    (void)state;
    f.suspension = (struct store_suspension){ .scope = all };
    f.g.suspend = (struct suspend){ &f.suspension, 1 };
    expect_refused(order(), "suspended");
}

static void test_an_account_that_is_not_valid_is_refused(void **state)
{
    (void)state;
    f.account.row.status = ACCOUNT_DEACTIVATED;
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "deactivated");
}

static void test_an_account_whose_key_is_unclear_is_refused(void **state)
{
    static char why[] = "the token has another key";

    (void)state;
    f.account.unresolved = why;
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "needs-resolve");
}

static void test_an_account_without_a_directory_is_refused(void **state)
{
    struct acme_directory d = f.account.row.acme.directory;

    (void)state;
    f.account.row.acme.directory = (struct acme_directory){ 0 };
    f.account.row.status = ACCOUNT_CREATED;
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "created");
    f.account.row.acme.directory = d;
}

static void test_a_stale_key_is_refused_where_it_matters(void **state)
{
    static const struct {
        const char *header, *payload;
        bool matters;
    } cases[] = {
        { ORDER_HEADER, ORDER("example.com"), true },
        { HEADER("https://ca.example/chall/1"), "{}", true },
        { HEADER("https://ca.example/order/1"), "", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].header);
        assert_string_equal(ask_as("stale", cases[i].header, cases[i].payload),
                            cases[i].matters ? "key-changed" : "signed");
        assert_string_equal(f.thumbprint, f.account.row.acme.thumbprint);
        assert_string_equal(ask_as(f.account.row.acme.thumbprint,
                                   cases[i].header, cases[i].payload),
                            "signed");
    }
}

static void test_orders_are_counted(void **state)
{
    (void)state;
    assert_string_equal(order(), "signed");
    assert_string_equal(order(), "signed"); /* again within a minute */
    assert_string_equal(ask(ORDER_HEADER, " " ORDER("example.com")), "signed");
    assert_string_equal(ask(ORDER_HEADER, "  " ORDER("example.com")),
                        "orders-per-day");
    assert_true(f.retry_after_ms > 23 * 3600 * 1000);
    assert_string_equal(ask(HEADER("https://ca.example/order/1"), ""),
                        "signed");
}

static void test_grants_of_a_uid_are_limited(void **state)
{
    static const char fetch[] = HEADER("https://ca.example/order/1");

    (void)state;
    f.g.grants.per_minute = 2;
    for (int i = 0; i < 3; i++)
        assert_string_equal(ask(fetch, "{"), "bad-json");
    assert_string_equal(ask(fetch, ""), "signed");
    assert_string_equal(ask(fetch, ""), "signed");
    assert_string_equal(ask(fetch, ""), "requests-per-minute");
    assert_true(f.retry_after_ms > 0 && f.retry_after_ms <= 30001);
    assert_int_equal(fakes.lines, 2);
    assert_int_equal(fakes.asked, 2);
    assert_string_equal(fakes.verdict, "refused");
    /* What is refused anyway is refused for what it is. */
    assert_string_equal(ask(ORDER_HEADER, ORDER("evil.example")),
                        "identifier-not-allowed");
}

static void test_without_an_audit_log_nothing_is_signed(void **state)
{
    (void)state;
    f.g.audit = NULL;
    assert_string_equal(order(), "audit-unavailable");
    assert_int_equal(fakes.asked, 0);
}

static void test_what_cannot_be_written_is_not_signed(void **state)
{
    (void)state;
    fakes.write_error = -ENOSPC;
    assert_string_equal(order(), "audit-unavailable");
    assert_int_equal(fakes.asked, 0);
    /* nor counted as an order */
    fakes.write_error = 0;
    for (int i = 0; i < 2; i++)
        assert_string_equal(ask(ORDER_HEADER, i ? " " ORDER("example.com")
                                                : ORDER("example.com")),
                            "signed");
}

static void test_what_is_not_on_disk_does_not_leave(void **state)
{
    (void)state;
    fakes.sync_error = -EIO;
    assert_string_equal(order(), "audit-unavailable");
    assert_int_equal(f.signature_len, 0);
}

static void test_what_the_token_says_is_told(void **state)
{
    static const struct {
        int r;
        enum token_result result;
        const char *reason;
    } cases[] = {
        { -EBUSY, TOKEN_S_UNSET, "busy" },
        { -EHOSTDOWN, TOKEN_S_UNSET, "token-unavailable" },
        { -ETIMEDOUT, TOKEN_S_UNSET, "token-unavailable" },
        { 0, TOKEN_S_PIN_WRONG, "token-unavailable" },
        { 0, TOKEN_S_NO_KEY, "token-unavailable" },
        { 0, TOKEN_S_BAD_SIGNATURE, "token-unavailable" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        fakes.answer.r = cases[i].r;
        fakes.answer.result = cases[i].result;
        fakes.answer.retry_after_ms = 1234;
        assert_string_equal(order(), cases[i].reason);
        assert_int_equal(f.retry_after_ms, 1234);
        assert_int_equal(f.signature_len, 0);
    }
}

static void test_a_signature_of_another_length_does_not_leave(void **state)
{
    (void)state;
    fakes.answer.data.len = 63;
    assert_string_equal(order(), "token-unavailable");
    assert_int_equal(f.signature_len, 0);
}

static void test_an_account_without_a_token_is_told(void **state)
{
    (void)state;
    f.account.token = NULL;
    assert_string_equal(order(), "token-unavailable");
    assert_int_equal(fakes.asked, 0);
}

static void test_a_suspension_meanwhile_holds_the_signature_back(void **state)
{
    static char all[] = "all";

    (void)state;
    fakes.hold = true;
    (void)order();
    assert_int_equal(f.outcomes, 0);
    f.suspension = (struct store_suspension){ .scope = all };
    f.g.suspend = (struct suspend){ &f.suspension, 1 };
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "suspended");
    assert_int_equal(f.signature_len, 0);
}

static void test_a_name_denied_meanwhile_holds_the_signature_back(void **state)
{
    char *const names[] = { (char[]){ "example.com" }, NULL };

    (void)state;
    fakes.hold = true;
    (void)order();
    assert_int_equal(f.outcomes, 0);
    assert_int_equal(policy_set_deny_now(f.g.policy, names), 0);
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "identifier-denied");
    assert_string_equal(f.identifier, "example.com");
    assert_int_equal(f.signature_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DECIDE_TEST(test_what_is_allowed_is_written_then_signed),
        DECIDE_TEST(test_exactly_the_octets_that_were_read_are_signed),
        DECIDE_TEST(test_a_malformed_request_is_refused),
        DECIDE_TEST(test_another_name_is_refused),
        DECIDE_TEST(test_another_caller_is_refused),
        DECIDE_TEST(test_a_suspended_account_is_refused),
        DECIDE_TEST(test_an_account_that_is_not_valid_is_refused),
        DECIDE_TEST(test_an_account_whose_key_is_unclear_is_refused),
        DECIDE_TEST(test_an_account_without_a_directory_is_refused),
        DECIDE_TEST(test_a_stale_key_is_refused_where_it_matters),
        DECIDE_TEST(test_orders_are_counted),
        DECIDE_TEST(test_grants_of_a_uid_are_limited),
        DECIDE_TEST(test_without_an_audit_log_nothing_is_signed),
        DECIDE_TEST(test_what_cannot_be_written_is_not_signed),
        DECIDE_TEST(test_what_is_not_on_disk_does_not_leave),
        DECIDE_TEST(test_what_the_token_says_is_told),
        DECIDE_TEST(test_a_signature_of_another_length_does_not_leave),
        DECIDE_TEST(test_an_account_without_a_token_is_told),
        DECIDE_TEST(test_a_suspension_meanwhile_holds_the_signature_back),
        DECIDE_TEST(test_a_name_denied_meanwhile_holds_the_signature_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
