/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-fixture.h"

#include <errno.h>

#define ALLOW "[Allow]\nAccount=test\nDomain=example.com\n"

static int note(const struct policy_ruleset *rule, bool matched,
                const char *condition, const char *why, void *userdata)
{
    struct buf *b = userdata;

    assert_true(matched == !why);
    return buf_printf(b, "%u %s%s%s\n", policy_ruleset_line(rule), condition,
                      why ? ": " : "", why ? why : "");
}

static void check(const char *policy, char *const *deny,
                  const struct policy_caller *caller,
                  const struct acme_request *rq, const char *expected)
{
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(policy, deny);
    struct acme_account account = fixture_account("test");
    CLEANUP_BUF struct buf b = { 0 };

    assert_int_equal(
        policy_explain(set, caller, &fixture_names, &account, rq, note, &b), 0);
    assert_string_equal(buf_str(&b), expected);
}

static void test_the_first_condition_of_the_client_that_failed(void **state)
{
    static const gid_t gids[] = { 7 };
    struct policy_caller caller = {
        .uid = 1000, .gids = gids, .n_gids = 1, .unit = "web.service"
    };
    struct acme_request rq = fixture_request(ACME_OP_ORDER, "example.com");

    (void)state;
    check("[Client]\nUser=1000\n[Allow]\nAccount=other second\n" /* 1 */
          "[Client]\nUser=www 1001\n" ALLOW                      /* 5 */
          "[Client]\nUser=1000\nGroup=web 9\n" ALLOW             /* 10 */
          "[Client]\nSocket=s\n" ALLOW                           /* 16 */
          "[Client]\nGroup=7\nUnit=web.service\n" ALLOW          /* 21 */
          "[Client]\nUser=1000\nUnit=a.service\n" ALLOW          /* 27 */
          "[Client]\nUser=caddy\n" ALLOW,                        /* 33 */
          NULL, &caller, &rq,
          "1 Account=other second: the account is test\n"
          "5 User=www 1001: the caller is uid 1000\n"
          "10 Group=web 9: uid 1000 is in none of these groups\n"
          "16 Socket=s: the request came through the common socket\n"
          "21 Unit=web.service: the caller's unit is not certain on this "
          "kernel, so User= is needed too\n"
          "27 Unit=a.service: the caller's unit is web.service\n"
          "33 matched\n");
    caller = (struct policy_caller){ .uid = 65534, .socket = "t" };
    check("[Client]\nUser=1000\n" ALLOW, NULL, &caller, &rq,
          "1 Client=: uid 65534 is nobody in particular and never matches\n");
    caller.uid = 1;
    check("[Client]\nSocket=s\n" ALLOW
          "[Client]\nUser=1\nUnit=a.service\n" ALLOW,
          NULL, &caller, &rq,
          "1 Socket=s: the request came through t\n"
          "6 Unit=a.service: the caller's unit is not known\n");
    fixture_request_deinit(&rq);
}

static void test_an_other_account_is_told_before_the_client(void **state)
{
    struct policy_caller caller = { .uid = 1 };
    struct acme_request rq = fixture_request(ACME_OP_FETCH, "");

    (void)state;
    check("[Client]\nUser=1\n[Allow]\nAccount=other\n", NULL, &caller, &rq,
          "1 Account=other: the account is test\n");
}

static void test_what_the_request_lacks(void **state)
{
    char *const deny[] = { (char[]){ "a.example.com" }, NULL };
    static const struct {
        const char *lines;
        enum acme_op op;
        const char *names;
        const char *expected;
    } cases[] = {
        { "", ACME_OP_REVOKE, "example.com",
          "1 Operations=: revoke is not listed\n" },
        { "", ACME_OP_UNSET, "", "1 Operations=: no operation of a client\n" },
        { "", ACME_OP_ORDER, "", "1 NamesPerOrder=: no name at all\n" },
        { "NamesPerOrder=1\n", ACME_OP_ORDER, "example.com b.example.com",
          "1 NamesPerOrder=: 2 names, at most 1\n" },
        { "", ACME_OP_ORDER, "b.example.com",
          "1 Domain=: b.example.com is neither listed nor below a name in "
          "Subdomains=\n" },
        { "", ACME_OP_ORDER, "*.example.com",
          "1 Wildcard=: example.com is not listed\n" },
        { "", ACME_OP_ORDER, "ip:192.0.2.1",
          "1 Address=: 192.0.2.1 is in no range\n" },
        { "Domain=a.example.com\n", ACME_OP_ORDER, "a.example.com",
          "1 [Deny] Domain=: a.example.com is denied to everybody\n" },
        { "KeyTypes=rsa-2048\n", ACME_OP_FINALIZE, "example.com",
          "1 KeyTypes=: ec-p256 is not listed\n" },
    };
    struct policy_caller caller = { .uid = 1 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct acme_request rq = fixture_request(cases[i].op, cases[i].names);
        char policy[256];

        (void)snprintf(policy, sizeof(policy), "[Client]\nUser=1\n" ALLOW "%s",
                       cases[i].lines);
        check(policy, deny, &caller, &rq, cases[i].expected);
        fixture_request_deinit(&rq);
    }
}

static void test_key_types_without_a_word_are_named_too(void **state)
{
    struct policy_caller caller = { .uid = 1 };
    struct acme_request rq = fixture_request(ACME_OP_FINALIZE, "example.com");

    (void)state;
    rq.csr.key_type = CSR_KEY_RSA;
    rq.csr.rsa_bits = 1024;
    check("[Client]\nUser=1\n" ALLOW, NULL, &caller, &rq,
          "1 KeyTypes=: rsa-1024 is not listed\n");
    rq.csr.key_type = CSR_KEY_UNSET;
    check("[Client]\nUser=1\n" ALLOW, NULL, &caller, &rq,
          "1 KeyTypes=: unknown is not listed\n");
    fixture_request_deinit(&rq);
}

static void test_long_conditions_are_cut(void **state)
{
    CLEANUP_BUF struct buf policy = { 0 };
    CLEANUP_BUF struct buf out = { 0 };
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct acme_account account = fixture_account("test");
    struct policy_caller caller = { .uid = 1 };
    struct acme_request rq = fixture_request(ACME_OP_FETCH, "");

    (void)state;
    assert_int_equal(buf_append_str(&policy, "[Client]\nUser="), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(buf_printf(&policy, " %u", 1000 + i), 0);
    assert_int_equal(buf_append_str(&policy, "\n" ALLOW), 0);
    set = fixture_set(buf_str(&policy), NULL);
    assert_int_equal(
        policy_explain(set, &caller, &fixture_names, &account, &rq, note, &out),
        0);
    assert_non_null(strstr(buf_str(&out), "1 User=1000 1001 "));
    assert_non_null(strstr(buf_str(&out), ": the caller is uid 1\n"));
}

static int stop(const struct policy_ruleset *rule, bool matched,
                const char *condition, const char *why, void *userdata)
{
    unsigned *n = userdata;

    (void)rule;
    (void)matched;
    (void)condition;
    (void)why;
    (*n)++;
    return -EPIPE;
}

static void test_the_callback_can_stop_it(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(
        "[Client]\nUser=1\n" ALLOW "[Client]\nUser=2\n" ALLOW, NULL);
    struct acme_account account = fixture_account("test");
    struct policy_caller caller = { .uid = 1 };
    struct acme_request rq = fixture_request(ACME_OP_FETCH, "");
    unsigned n = 0;

    (void)state;
    assert_int_equal(
        policy_explain(set, &caller, &fixture_names, &account, &rq, stop, &n),
        -EPIPE);
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_condition_of_the_client_that_failed),
        cmocka_unit_test(test_an_other_account_is_told_before_the_client),
        cmocka_unit_test(test_what_the_request_lacks),
        cmocka_unit_test(test_key_types_without_a_word_are_named_too),
        cmocka_unit_test(test_long_conditions_are_cut),
        cmocka_unit_test(test_the_callback_can_stop_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
