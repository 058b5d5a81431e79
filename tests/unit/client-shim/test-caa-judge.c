/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/client-shim/dns-result-support.h"

#include "client-shim/caa-judge.h"
#include "client-shim/ctl.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define URL "https://ca.example/acct/1"

/* "FLAGS TAG VALUE", at most four. */
static const char *judge(bool wildcard, const char *const *lines)
{
    const struct caa_question q = { .issuer = "ca.example",
                                    .account_url = URL,
                                    .wildcard = wildcard };
    struct dns_value values[4] = { 0 };
    char tags[4][32];
    enum caa_meaning m;
    size_t n = 0;

    for (; lines[n]; n++) {
        unsigned flags;
        int at = 0;

        assert_int_equal(sscanf(lines[n], "%u %31s %n", &flags, tags[n], &at),
                         2);
        values[n].number = flags;
        values[n].tag = tags[n];
        assert_int_equal(buf_append_str(&values[n].text, lines[n] + at), 0);
    }
    m = caa_judge(values, n, &q);
    for (size_t i = 0; i < n; i++)
        buf_deinit(&values[i].text);
    return caa_code(m);
}

#define JUDGE(wildcard, ...)                                                   \
    judge(wildcard, (const char *const[]){ __VA_ARGS__, NULL })

static void test_what_records_mean(void **state)
{
    (void)state;
    assert_string_equal(judge(false, (const char *const[]){ NULL }), "no-caa");
    assert_string_equal(JUDGE(false, "0 iodef mailto:a@example.com"), "no-caa");
    assert_string_equal(JUDGE(false, "0 issue ca.example"), "allowed");
    assert_string_equal(JUDGE(false, "0 ISSUE CA.EXAMPLE ; "), "allowed");
    assert_string_equal(JUDGE(false, "0 issue other.example"), "other-issuer");
    assert_string_equal(JUDGE(false, "0 issue ;"), "nobody");
    assert_string_equal(JUDGE(false, "0 issue ;", "0 issue other.example"),
                        "other-issuer");
    assert_string_equal(
        JUDGE(false, "0 issue other.example", "0 issue ca.example"), "allowed");
    /* A name that only begins like it is another. */
    assert_string_equal(JUDGE(false, "0 issue ca.example.org"), "other-issuer");
}

static void test_accounts_and_methods(void **state)
{
    (void)state;
    assert_string_equal(JUDGE(false, "0 issue ca.example; accounturi=" URL),
                        "allowed-account");
    assert_string_equal(JUDGE(false, "0 issue ca.example; accounturi=" URL "0"),
                        "other-account");
    assert_string_equal(
        JUDGE(false, "0 issue ca.example; validationmethods=dns-01"),
        "other-method");
    assert_string_equal(JUDGE(false,
                              "0 issue ca.example;accounturi=" URL
                              ";validationmethods=dns-01,dns-persist-01"),
                        "allowed-account");
    /* One that allows every account makes the other one void. */
    assert_string_equal(JUDGE(false, "0 issue ca.example; accounturi=" URL,
                              "0 issue ca.example"),
                        "allowed");
    assert_string_equal(JUDGE(false, "0 issue other.example",
                              "0 issue ca.example; accounturi=" URL "0"),
                        "other-account");
}

static void test_wildcards_have_records_of_their_own(void **state)
{
    (void)state;
    assert_string_equal(JUDGE(true, "0 issue ca.example"), "allowed");
    assert_string_equal(JUDGE(true, "0 issue ca.example", "0 issuewild ;"),
                        "nobody");
    assert_string_equal(JUDGE(false, "0 issue ca.example", "0 issuewild ;"),
                        "allowed");
    assert_string_equal(
        JUDGE(true, "0 issue other.example", "0 issuewild ca.example"),
        "allowed");
}

static void test_what_nobody_may_pass_over(void **state)
{
    (void)state;
    assert_string_equal(JUDGE(false, "0 issue ca.example", "128 tbs x"),
                        "critical");
    assert_string_equal(JUDGE(false, "0 issue ca.example", "0 tbs x"),
                        "allowed");
    assert_string_equal(JUDGE(false, "128 issue ca.example"), "allowed");
    assert_false(caa_allows(CAA_CRITICAL) || caa_allows(CAA_UNSET) ||
                 caa_allows(CAA_NOBODY) || caa_allows(CAA_OTHER_ACCOUNT));
    assert_true(caa_allows(CAA_NONE) && caa_allows(CAA_ACCOUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_records_mean),
        cmocka_unit_test(test_accounts_and_methods),
        cmocka_unit_test(test_wildcards_have_records_of_their_own),
        cmocka_unit_test(test_what_nobody_may_pass_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
