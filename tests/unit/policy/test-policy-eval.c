/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/dns-name.h"
#include "policy-fixture.h"

#define CLIENT "[Client]\nUser=1000\n[Allow]\nAccount=test\n"
#define NAMES                                                                  \
    "Domain=example.com www.example.com\nSubdomains=apps.example.com\n"        \
    "Wildcard=apps.example.com\nAddress=192.0.2.0/24 2001:db8::/32\n"

static char *const deny[] = { (char[]){ "a.b.example.com" },
                              (char[]){ "bad.apps.example.com" }, NULL };

struct name_case {
    const char *identifiers;
    const char *verdict;
};

static void check_names(const char *policy, char *const *denied,
                        const struct name_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *verdict = fixture_verdict(policy, denied, ACME_OP_ORDER,
                                              cases[i].identifiers);

        if (strcmp(verdict, cases[i].verdict) != 0)
            fail_msg("%s: %s, not %s", cases[i].identifiers, verdict,
                     cases[i].verdict);
    }
}

static void test_names_are_exact_below_or_wildcard(void **state)
{
    static const struct name_case cases[] = {
        { "example.com", "allowed" },
        { "example.com www.example.com", "allowed" },
        { "example.co", "identifier-not-allowed" },
        { "xexample.com", "identifier-not-allowed" },
        { "a.example.com", "identifier-not-allowed" },
        { "com", "identifier-not-allowed" },
        { "x.apps.example.com", "allowed" },
        { "z.y.x.apps.example.com", "allowed" },
        { "apps.example.com", "identifier-not-allowed" },
        { "xapps.example.com", "identifier-not-allowed" },
        { "*.apps.example.com", "allowed" },
        { "*.x.apps.example.com", "identifier-not-allowed" },
        { "*.example.com", "identifier-not-allowed" },
        { "*.www.example.com", "identifier-not-allowed" },
        { "example.com example.net", "identifier-not-allowed" },
        { "ip:192.0.2.77", "allowed" },
        { "ip:192.0.3.1", "identifier-not-allowed" },
        { "ip:2001:db8::1 example.com", "allowed" },
        { "ip:2001:db9::1", "identifier-not-allowed" },
        { "", "no-identifiers" },
    };

    (void)state;
    check_names(CLIENT NAMES, NULL, cases, ARRAY_LEN(cases));
}

static void test_domain_grants_no_wildcard_of_the_same_text(void **state)
{
    (void)state;
    assert_string_equal(fixture_verdict(CLIENT "Wildcard=a.example.com\n", NULL,
                                        ACME_OP_ORDER, "a.example.com"),
                        "identifier-not-allowed");
    assert_string_equal(fixture_verdict(CLIENT "Subdomains=a.example.com\n",
                                        NULL, ACME_OP_ORDER, "*.a.example.com"),
                        "identifier-not-allowed");
}

static void test_deny_refuses_name_below_and_covering_wildcards(void **state)
{
    static const char policy[] =
        CLIENT "Domain=b.example.com a.b.example.com example.com\n"
               "Subdomains=apps.example.com a.b.example.com\n"
               "Wildcard=example.com b.example.com a.b.example.com "
               "c.a.b.example.com apps.example.com x.apps.example.com\n";
    static const struct name_case cases[] = {
        { "a.b.example.com", "identifier-denied" },
        { "x.a.b.example.com", "identifier-denied" },
        { "*.a.b.example.com", "identifier-denied" },
        { "*.c.a.b.example.com", "identifier-denied" },
        { "*.b.example.com", "identifier-denied" },
        { "*.example.com", "allowed" },
        { "b.example.com", "allowed" },
        { "example.com", "allowed" },
        { "bad.apps.example.com", "identifier-denied" },
        { "y.bad.apps.example.com", "identifier-denied" },
        { "notbad.apps.example.com", "allowed" },
        { "*.apps.example.com", "identifier-denied" },
        { "*.x.apps.example.com", "allowed" },
        /* What no rule grants is not told to be denied. */
        { "*.bad.apps.example.com", "identifier-not-allowed" },
    };

    (void)state;
    check_names(policy, deny, cases, ARRAY_LEN(cases));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(fixture_verdict_now(policy, deny, ACME_OP_ORDER,
                                                cases[i].identifiers),
                            cases[i].verdict);
}

static void test_names_denied_now_replace_those_before(void **state)
{
    static const char policy[] = CLIENT "Domain=a.example.com b.example.com\n";
    CLEANUP_POLICY_SET struct policy_set *set =
        fixture_set(policy, (char *[]){ (char[]){ "c.example.com" }, NULL });
    struct acme_request rq =
        fixture_request(ACME_OP_ORDER, "b.example.com x.a.example.com");
    char *first[] = { (char[]){ "a.example.com" }, NULL };
    char *bad[] = { (char[]){ "b.example.com" }, (char[]){ "A.example" },
                    NULL };
    char *top[] = { (char[]){ "com" }, NULL };
    const char *name = NULL;

    (void)state;
    assert_false(policy_denies_any(set, &rq.identifiers, &name));
    assert_int_equal(policy_set_deny_now(set, first), 0);
    assert_true(policy_denies_any(set, &rq.identifiers, &name));
    assert_string_equal(name, "x.a.example.com");
    assert_int_equal(policy_set_deny_now(set, bad), POLICY_E_INVALID);
    assert_true(policy_denies_any(set, &rq.identifiers, &name));
    assert_string_equal(name, "x.a.example.com");
    assert_int_equal(policy_set_deny_now(set, top), 0);
    assert_true(policy_denies_any(set, &rq.identifiers, &name));
    assert_string_equal(name, "b.example.com");
    assert_int_equal(policy_set_deny_now(set, NULL), 0);
    assert_false(policy_denies_any(set, &rq.identifiers, &name));
    fixture_request_deinit(&rq);

    rq = fixture_request(ACME_OP_ORDER, "*.example.com");
    assert_true(policy_denies_any(set, &rq.identifiers, &name));
    assert_string_equal(name, "*.example.com");
    fixture_request_deinit(&rq);
}

static void test_what_can_be_denied(void **state)
{
    static const char *const no[] = {
        "",       "*.example.com", "Example.com", "example.com.", "a_b.example",
        "1.2.3.4"
    };
    struct refusal refusal;
    char longest[DNS_NAME_MAX + 2] = "";

    (void)state;
    assert_int_equal(policy_deny_check("example.com", NULL), 0);
    assert_int_equal(policy_deny_check("com", NULL), 0);
    for (size_t i = 0; i < DNS_NAME_MAX; i++)
        longest[i] = i % 2 ? '.' : 'a';
    assert_int_equal(policy_deny_check(longest, &refusal), 0);
    longest[DNS_NAME_MAX - 1] = '\0';
    longest[DNS_NAME_MAX - 2] = 'a'; /* 252 */
    assert_int_equal(policy_deny_check(longest, &refusal), 0);
    memset(longest + DNS_NAME_MAX - 2, 'a', 3); /* 254 */
    assert_int_equal(policy_deny_check(longest, &refusal), REFUSED);
    memset(longest, 'a', DNS_NAME_MAX);
    assert_int_equal(policy_deny_check(longest, &refusal), REFUSED);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_int_equal(policy_deny_check(no[i], &refusal), REFUSED);
}

static void test_a_request_is_allowed_whole_by_one_rule_set(void **state)
{
    static const struct name_case cases[] = {
        { "a.example.com", "allowed" },
        { "b.example.com", "allowed" },
        { "a.example.com b.example.com", "identifier-not-allowed" },
    };

    (void)state;
    check_names(CLIENT "Domain=a.example.com\n" CLIENT "Domain=b.example.com\n",
                NULL, cases, ARRAY_LEN(cases));
}

static void test_default_operations_are_all_but_revoke(void **state)
{
    static const struct {
        enum acme_op op;
        const char *verdict;
    } cases[] = {
        { ACME_OP_ORDER, "allowed" },
        { ACME_OP_FINALIZE, "allowed" },
        { ACME_OP_CHALLENGE, "allowed" },
        { ACME_OP_FETCH, "allowed" },
        { ACME_OP_LOOKUP, "allowed" },
        { ACME_OP_REVOKE, "operation-not-allowed" },
        { ACME_OP_UNSET, "operation-not-allowed" },
        { ACME_OP_COUNT, "operation-not-allowed" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(
            fixture_verdict(CLIENT NAMES, NULL, cases[i].op, "example.com"),
            cases[i].verdict);
}

static void test_listed_operations_replace_the_default(void **state)
{
    static const char policy[] = CLIENT NAMES "Operations=revoke fetch\n";

    (void)state;
    assert_string_equal(
        fixture_verdict(policy, NULL, ACME_OP_REVOKE, "example.com"),
        "allowed");
    assert_string_equal(
        fixture_verdict(policy, NULL, ACME_OP_REVOKE, "example.net"),
        "identifier-not-allowed");
    assert_string_equal(fixture_verdict(policy, NULL, ACME_OP_REVOKE, ""),
                        "no-identifiers");
    assert_string_equal(fixture_verdict(policy, NULL, ACME_OP_FETCH, ""),
                        "allowed");
    assert_string_equal(
        fixture_verdict(policy, NULL, ACME_OP_ORDER, "example.com"),
        "operation-not-allowed");
    assert_string_equal(fixture_verdict(policy, NULL, ACME_OP_LOOKUP, ""),
                        "operation-not-allowed");
}

static void test_names_per_order(void **state)
{
    static const char policy[] =
        CLIENT NAMES "NamesPerOrder=1\nOperations=order finalize revoke\n";
    static const char two[] = "example.com www.example.com";

    (void)state;
    assert_string_equal(
        fixture_verdict(policy, NULL, ACME_OP_ORDER, "example.com"), "allowed");
    assert_string_equal(fixture_verdict(policy, NULL, ACME_OP_ORDER, two),
                        "too-many-names");
    assert_string_equal(fixture_verdict(policy, NULL, ACME_OP_FINALIZE, two),
                        "too-many-names");
    /* An older certificate may have more. */
    assert_string_equal(fixture_verdict(policy, NULL, ACME_OP_REVOKE, two),
                        "allowed");
}

static void test_identifier_of_no_type_is_refused(void **state)
{
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(ACME_OP_ORDER, "example.com");

    (void)state;
    rq.identifiers.items[0].type = IDENTIFIER_UNSET;
    assert_string_equal(fixture_eval(CLIENT NAMES, &caller, &rq),
                        "identifier-not-allowed");
    fixture_request_deinit(&rq);
}

static void test_replaces_needs_the_operation(void **state)
{
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(ACME_OP_ORDER, "example.com");

    (void)state;
    rq.replaces = (char[]){ "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE" };
    assert_string_equal(fixture_eval(CLIENT NAMES, &caller, &rq), "allowed");
    assert_string_equal(
        fixture_eval(CLIENT NAMES "Operations=order\n", &caller, &rq),
        "operation-not-allowed");
    rq.replaces = NULL;
    assert_string_equal(
        fixture_eval(CLIENT NAMES "Operations=order\n", &caller, &rq),
        "allowed");
    fixture_request_deinit(&rq);
}

static void test_profile_must_be_listed(void **state)
{
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(ACME_OP_ORDER, "example.com");

    (void)state;
    rq.profile = (char[]){ "tlsserver" };
    assert_string_equal(fixture_eval(CLIENT NAMES, &caller, &rq),
                        "profile-not-allowed");
    assert_string_equal(
        fixture_eval(CLIENT NAMES "Profiles=short tlsserver\n", &caller, &rq),
        "allowed");
    assert_string_equal(
        fixture_eval(CLIENT NAMES "Profiles=tlsserver2\n", &caller, &rq),
        "profile-not-allowed");
    fixture_request_deinit(&rq);
}

static void test_dates_are_bounded_by_max_validity(void **state)
{
#define DAY 86400
    static const struct {
        const char *policy;
        int64_t now, before, after;
        const char *verdict;
    } cases[] = {
        { "", 1000, 0, 0, "allowed" },
        { "", 1000, 0, 2000, "validity-not-allowed" },
        { "", 1000, 1000, 0, "validity-not-allowed" },
        { "", 3000, 0, 2000, "validity-not-allowed" },
        { "MaxValidity=7d\n", 1000, 0, 0, "allowed" },
        { "MaxValidity=7d\n", 1000, 0, 1000 + 7 * DAY, "allowed" },
        { "MaxValidity=7d\n", 1000, 0, 1001 + 7 * DAY, "validity-not-allowed" },
        /* without its end, a date bounds nothing */
        { "MaxValidity=7d\n", 1000, 1000, 0, "validity-not-allowed" },
        /* no stock of certificates for later */
        { "MaxValidity=7d\n", 1000, 1000 + 7 * DAY, 1000 + 8 * DAY,
          "validity-not-allowed" },
        /* nor a longer one by dating it back */
        { "MaxValidity=7d\n", 9 * DAY, 1 * DAY, 8 * DAY, "allowed" },
        { "MaxValidity=7d\n", 9 * DAY, 1 * DAY, 8 * DAY + 1,
          "validity-not-allowed" },
        /* a caller of this function that forgot the clock */
        { "MaxValidity=7d\n", 0, 0, 1700000000, "validity-not-allowed" },
    };
    struct acme_request rq = fixture_request(ACME_OP_ORDER, "example.com");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_caller caller = { .uid = 1000, .now = cases[i].now };
        char policy[512];
        const char *verdict;

        (void)snprintf(policy, sizeof(policy), "%s%s", CLIENT NAMES,
                       cases[i].policy);
        rq.not_before = cases[i].before;
        rq.not_after = cases[i].after;
        verdict = fixture_eval(policy, &caller, &rq);
        if (strcmp(verdict, cases[i].verdict) != 0)
            fail_msg("case %zu: %s, not %s", i, verdict, cases[i].verdict);
    }
    fixture_request_deinit(&rq);
}

static void test_key_types(void **state)
{
    static const struct {
        enum csr_key_type type;
        unsigned bits;
        const char *policy;
        const char *verdict;
    } cases[] = {
        { CSR_KEY_EC_P256, 0, "", "allowed" },
        { CSR_KEY_EC_P384, 0, "", "allowed" },
        { CSR_KEY_EC_P521, 0, "", "key-type-not-allowed" },
        { CSR_KEY_ED25519, 0, "", "key-type-not-allowed" },
        { CSR_KEY_RSA, 2048, "", "allowed" },
        { CSR_KEY_RSA, 3072, "", "allowed" },
        { CSR_KEY_RSA, 4096, "", "allowed" },
        { CSR_KEY_RSA, 1024, "", "key-type-not-allowed" },
        { CSR_KEY_RSA, 2049, "", "key-type-not-allowed" },
        { CSR_KEY_RSA, 8192, "", "key-type-not-allowed" },
        { CSR_KEY_UNSET, 0, "", "key-type-not-allowed" },
        { CSR_KEY_EC_P521, 0, "KeyTypes=ec-p521 ed25519\n", "allowed" },
        { CSR_KEY_ED25519, 0, "KeyTypes=ec-p521 ed25519\n", "allowed" },
        { CSR_KEY_EC_P256, 0, "KeyTypes=rsa-2048\n", "key-type-not-allowed" },
        { CSR_KEY_RSA, 2048, "KeyTypes=rsa-3072\n", "key-type-not-allowed" },
    };
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(ACME_OP_FINALIZE, "example.com");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char policy[512];
        const char *verdict;

        (void)snprintf(policy, sizeof(policy), "%s%s", CLIENT NAMES,
                       cases[i].policy);
        rq.csr.key_type = cases[i].type;
        rq.csr.rsa_bits = cases[i].bits;
        verdict = fixture_eval(policy, &caller, &rq);
        if (strcmp(verdict, cases[i].verdict) != 0)
            fail_msg("case %zu: %s, not %s", i, verdict, cases[i].verdict);
    }
    fixture_request_deinit(&rq);
}

static void test_subject_and_extensions_of_a_csr(void **state)
{
    char *extensions[] = { (char[]){ "1.2.3.4" }, (char[]){ "1.2.3.5" }, NULL };
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(ACME_OP_FINALIZE, "example.com");

    (void)state;
    rq.csr.other_subject = true;
    assert_string_equal(fixture_eval(CLIENT NAMES, &caller, &rq),
                        "subject-not-allowed");
    assert_string_equal(fixture_eval(CLIENT NAMES "Subject=cn\n", &caller, &rq),
                        "subject-not-allowed");
    assert_string_equal(
        fixture_eval(CLIENT NAMES "Subject=any\n", &caller, &rq), "allowed");

    rq.csr.other_subject = false;
    rq.csr.extensions = extensions;
    assert_string_equal(fixture_eval(CLIENT NAMES, &caller, &rq),
                        "extension-not-allowed");
    assert_string_equal(
        fixture_eval(CLIENT NAMES "CsrExtensions=1.2.3.4\n", &caller, &rq),
        "extension-not-allowed");
    assert_string_equal(fixture_eval(CLIENT NAMES
                                     "CsrExtensions=1.2.3.4 1.2.3.5\n",
                                     &caller, &rq),
                        "allowed");
    fixture_request_deinit(&rq);
}

static bool first_is_used_up(const struct policy_ruleset *rule, void *userdata)
{
    unsigned *asked = userdata;

    (*asked)++;
    return policy_ruleset_line(rule) != 1;
}

static void test_quota_is_asked_last_and_the_next_rule_set_tried(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(
        CLIENT "Domain=a.example.com b.example.com\n" /* lines 1 to 5 */
        CLIENT "Domain=a.example.com\n",
        NULL);
    struct acme_account account = fixture_account("test");
    struct policy_caller caller = { .uid = 1000 };
    static const struct {
        enum acme_op op;
        const char *names;
        unsigned asked;
        const char *verdict;
        unsigned line;
    } cases[] = {
        { ACME_OP_ORDER, "a.example.com", 2, "unset", 6 },
        { ACME_OP_ORDER, "b.example.com", 1, "orders-per-day", 1 },
        { ACME_OP_ORDER, "c.example.com", 0, "identifier-not-allowed", 1 },
        { ACME_OP_FINALIZE, "b.example.com", 0, "unset", 1 },
        { ACME_OP_FETCH, "", 0, "unset", 1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct acme_request rq = fixture_request(cases[i].op, cases[i].names);
        struct policy_verdict v = { 0 };
        unsigned asked = 0;

        assert_int_equal(policy_eval(set, &caller, &fixture_names, &account,
                                     &rq, first_is_used_up, &asked, &v),
                         0);
        assert_string_equal(reason_code(v.reason), cases[i].verdict);
        assert_int_equal(asked, cases[i].asked);
        assert_non_null(v.rule);
        assert_int_equal(policy_ruleset_line(v.rule), cases[i].line);
        fixture_request_deinit(&rq);
    }
}

static void test_the_refusal_that_came_furthest_is_told(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set =
        fixture_set(CLIENT "Operations=fetch\n"                   /* 1 */
                    CLIENT "Domain=a.example.com\n"               /* 6 */
                    CLIENT "Domain=a.example.com b.example.com\n" /* 11 */
                    CLIENT "Domain=c.example.com\n",              /* 16 */
                    NULL);
    struct acme_account account = fixture_account("test");
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(
        ACME_OP_ORDER, "a.example.com b.example.com d.example.com");
    struct policy_verdict v = { 0 };

    (void)state;
    assert_int_equal(policy_eval(set, &caller, &fixture_names, &account, &rq,
                                 NULL, NULL, &v),
                     0);
    assert_false(v.allowed);
    assert_int_equal(v.reason, REASON_IDENTIFIER_NOT_ALLOWED);
    assert_ptr_equal(v.identifier, rq.identifiers.items[2].value);
    assert_int_equal(policy_ruleset_line(v.rule), 11);
    assert_string_equal(policy_ruleset_file(v.rule), "f");
    fixture_request_deinit(&rq);
}

static void test_without_a_rule_set_everything_is_denied(void **state)
{
    struct policy_caller other = { .uid = 1001 };
    struct acme_account account = fixture_account("second");
    struct acme_request rq = fixture_request(ACME_OP_FETCH, "");
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(CLIENT NAMES, NULL);
    struct policy_caller caller = { .uid = 1000 };
    struct policy_verdict v = { .allowed = true };

    (void)state;
    assert_string_equal(fixture_verdict("", NULL, ACME_OP_FETCH, ""),
                        "no-rule");
    assert_string_equal(fixture_eval(CLIENT NAMES, &other, &rq), "no-rule");
    assert_int_equal(policy_eval(set, &caller, &fixture_names, &account, &rq,
                                 NULL, NULL, &v),
                     0);
    assert_false(v.allowed);
    assert_int_equal(v.reason, REASON_NO_RULE);
    assert_null(v.rule);
    assert_null(v.identifier);
}

static void test_may_use_and_knows(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set =
        fixture_set("[Client]\nUser=1000\n[Allow]\nAccount=a b\n"
                    "[Client]\nUser=1001\n[Allow]\nAccount=b\n",
                    NULL);
    struct policy_caller first = { .uid = 1000 };
    struct policy_caller second = { .uid = 1001 };
    struct policy_caller third = { .uid = 1002 };

    (void)state;
    assert_true(policy_may_use(set, &first, &fixture_names, "a"));
    assert_true(policy_may_use(set, &first, &fixture_names, "b"));
    assert_false(policy_may_use(set, &second, &fixture_names, "a"));
    assert_true(policy_may_use(set, &second, &fixture_names, "b"));
    assert_false(policy_may_use(set, &first, &fixture_names, "c"));
    assert_true(policy_knows(set, &first, &fixture_names));
    assert_true(policy_knows(set, &second, &fixture_names));
    assert_false(policy_knows(set, &third, &fixture_names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_exact_below_or_wildcard),
        cmocka_unit_test(test_domain_grants_no_wildcard_of_the_same_text),
        cmocka_unit_test(test_deny_refuses_name_below_and_covering_wildcards),
        cmocka_unit_test(test_names_denied_now_replace_those_before),
        cmocka_unit_test(test_what_can_be_denied),
        cmocka_unit_test(test_a_request_is_allowed_whole_by_one_rule_set),
        cmocka_unit_test(test_default_operations_are_all_but_revoke),
        cmocka_unit_test(test_listed_operations_replace_the_default),
        cmocka_unit_test(test_names_per_order),
        cmocka_unit_test(test_identifier_of_no_type_is_refused),
        cmocka_unit_test(test_replaces_needs_the_operation),
        cmocka_unit_test(test_profile_must_be_listed),
        cmocka_unit_test(test_dates_are_bounded_by_max_validity),
        cmocka_unit_test(test_key_types),
        cmocka_unit_test(test_subject_and_extensions_of_a_csr),
        cmocka_unit_test(test_quota_is_asked_last_and_the_next_rule_set_tried),
        cmocka_unit_test(test_the_refusal_that_came_furthest_is_told),
        cmocka_unit_test(test_without_a_rule_set_everything_is_denied),
        cmocka_unit_test(test_may_use_and_knows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
