/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/client-shim/dns-result-support.h"

#include "client-shim/ctl.h"
#include "client-shim/records-judge.h"

/* Would a CA accept what servers say? */

const struct ctl_command *const ctl_commands[] = { NULL };

#define NOW INT64_C(1795000000)
#define URL "https://ca.example/acct/1"
#define OURS "ca.example; accounturi=" URL
#define FOREIGN "ca.example; accounturi=https://ca.example/acct/2"

static const char account[] = "le", domain[] = "example.com",
                  issuer[] = "ca.example", url[] = URL, value[] = OURS;

/* Nothing in it is freed. */
static struct kept_value record(bool wildcard)
{
    union {
        const char *borrowed;
        char *plain;
    } a = { account }, d = { domain }, i = { issuer }, u = { url },
      v = { value };

    return (struct kept_value){ .account = a.plain,
                                .domain = d.plain,
                                .issuer = i.plain,
                                .accounturi = u.plain,
                                .value = v.plain,
                                .wildcard = wildcard };
}

static enum check_state judge(struct servers *s, bool wildcard,
                              struct check_judged *ret)
{
    struct kept_value v = record(wildcard);

    assert_int_equal(check_judge(&s->result, &v, NOW, ret), 0);
    return ret->state;
}

static void test_all_servers_have_it(void **state)
{
    CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
    struct servers s;

    (void)state;
    servers_init(&s);
    (void)servers_have(&s, OURS, FOREIGN);
    (void)servers_have(&s, FOREIGN, OURS);
    assert_int_equal(judge(&s, false, &j), CHECK_OK);
    assert_int_equal(j.n_views, 2);
    assert_false(j.disagree);
    assert_null(check_advice(&j));
    servers_deinit(&s);
}

static void test_reasons(void **state)
{
    static const struct {
        const char *value;
        bool wildcard;
        enum persist_reason reason;
    } cases[] = {
        { NULL, false, PERSIST_REASON_NO_RECORD },
        { FOREIGN, false, PERSIST_REASON_OTHER_ACCOUNT },
        { "b.example; accounturi=" URL, false, PERSIST_REASON_OTHER_ISSUER },
        { OURS, true, PERSIST_REASON_NO_WILDCARD_POLICY },
        { OURS "; persistUntil=1794999999", false, PERSIST_REASON_EXPIRED },
        { OURS "; x", false, PERSIST_REASON_NO_EQUALS_SIGN },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
        struct servers s;

        servers_init(&s);
        (void)servers_have(&s, cases[i].value, NULL);
        assert_int_equal(judge(&s, cases[i].wildcard, &j), CHECK_FOUND);
        assert_int_equal(j.views[0].reason, cases[i].reason);
        assert_non_null(check_advice(&j));
        servers_deinit(&s);
    }
}

/* A server that does not answer says nothing about the record. */
static void test_silence_is_unknown_and_not_bad(void **state)
{
    static const enum dns_status silent[] = { DNS_TIMEOUT,   DNS_UNREACHABLE,
                                              DNS_LAME,      DNS_REFUSED,
                                              DNS_SERVFAIL,  DNS_NO_SERVER,
                                              DNS_TOO_LARGE, DNS_MALFORMED };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
        struct servers s;

        servers_init(&s);
        (void)servers_have(&s, OURS, NULL);
        (void)servers_add(&s, silent[i]);
        assert_int_equal(judge(&s, false, &j), CHECK_UNKNOWN);
        assert_int_equal(j.views[0].state, CHECK_OK);
        assert_int_equal(j.views[1].state, CHECK_UNKNOWN);
        assert_non_null(strstr(check_advice(&j), "Servers="));
        servers_deinit(&s);
    }
}

static void test_a_bad_server_is_not_hidden_by_a_silent_one(void **state)
{
    CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
    struct servers s;

    (void)state;
    servers_init(&s);
    (void)servers_add(&s, DNS_TIMEOUT);
    (void)servers_have(&s, FOREIGN, NULL);
    assert_int_equal(judge(&s, false, &j), CHECK_FOUND);
    servers_deinit(&s);
}

static void test_nobody_was_asked(void **state)
{
    CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
    struct servers s;

    (void)state;
    servers_init(&s);
    assert_int_equal(judge(&s, false, &j), CHECK_UNKNOWN);
}

/* A CA may ask any of them. */
static void test_servers_that_disagree_are_a_finding(void **state)
{
    CLEANUP_CHECK_JUDGED struct check_judged j = { 0 }, k = { 0 };
    struct servers s, both;

    (void)state;
    servers_init(&s);
    (void)servers_have(&s, OURS, NULL);
    (void)servers_have(&s, NULL, NULL);
    assert_int_equal(judge(&s, false, &j), CHECK_FOUND);
    assert_true(j.disagree);
    assert_non_null(strstr(check_advice(&j), "between them"));
    servers_deinit(&s);
    /* Both would do, and yet they are not the same. */
    servers_init(&both);
    (void)servers_have(&both, OURS, NULL);
    (void)servers_have(&both, OURS, FOREIGN);
    assert_int_equal(judge(&both, false, &k), CHECK_FOUND);
    assert_non_null(strstr(check_advice(&k), "between them"));
    servers_deinit(&both);
}

static void test_bad_signatures_are_a_finding(void **state)
{
    CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
    struct servers s;

    (void)state;
    servers_init(&s);
    servers_add(&s, DNS_BOGUS)->resolver = true;
    assert_int_equal(judge(&s, false, &j), CHECK_FOUND);
    assert_non_null(strstr(check_advice(&j), "DNSSEC"));
    servers_deinit(&s);
}

static void test_who_only_leads_on_is_not_judged(void **state)
{
    CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
    struct servers s;
    char target[] = "elsewhere.example";

    (void)state;
    servers_init(&s);
    servers_add(&s, DNS_ALIAS)->target = target;
    (void)servers_have(&s, OURS, NULL);
    assert_int_equal(judge(&s, false, &j), CHECK_OK);
    assert_int_equal(j.n_views, 1);
    servers_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_servers_have_it),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_silence_is_unknown_and_not_bad),
        cmocka_unit_test(test_a_bad_server_is_not_hidden_by_a_silent_one),
        cmocka_unit_test(test_nobody_was_asked),
        cmocka_unit_test(test_servers_that_disagree_are_a_finding),
        cmocka_unit_test(test_bad_signatures_are_a_finding),
        cmocka_unit_test(test_who_only_leads_on_is_not_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
