/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/policy/policy-fixture.h"

/* Names of rule sets that reach a name, or below it. */

static const char policy[] =
    "[Client]\nUser=caddy\n"
    "[Allow]\nAccount=test\n"
    "Domain=example.com www.example.com notexample.com\n"
    "Subdomains=apps.example.com\n"
    "Wildcard=www.example.com\n"
    "[Client]\nUser=www\n"
    "[Allow]\nAccount=test\nDomain=other.org\n";

static int add(const struct policy_ruleset *rule, const char *key,
               const char *name, void *userdata)
{
    char *all = userdata;

    (void)snprintf(all + strlen(all), 256 - strlen(all), "%u:%s=%s ",
                   policy_ruleset_line(rule), key, name);
    return 0;
}

static void check(const char *name, const char *want)
{
    struct policy_set *set = fixture_set(policy, NULL);
    char all[256] = "";

    assert_int_equal(policy_about(set, name, add, all), 0);
    assert_string_equal(all, want);
    policy_set_free(set);
}

static void test_the_name_and_what_is_below(void **state)
{
    (void)state;
    check("example.com", "1:Domain=example.com 1:Domain=www.example.com "
                         "1:Subdomains=apps.example.com "
                         "1:Wildcard=www.example.com ");
    check("other.org", "8:Domain=other.org ");
    check("nothing.example", "");
    check("com", "1:Domain=example.com 1:Domain=www.example.com "
                 "1:Domain=notexample.com 1:Subdomains=apps.example.com "
                 "1:Wildcard=www.example.com ");
}

static void test_what_reaches_it_from_above(void **state)
{
    (void)state;
    check("a.b.apps.example.com", "1:Subdomains=apps.example.com ");
    check("a.www.example.com", "1:Wildcard=www.example.com ");
    check("a.b.www.example.com", "");
    check("a.other.org", "");
}

static int stop(const struct policy_ruleset *rule, const char *key,
                const char *name, void *userdata)
{
    (void)rule;
    (void)key;
    (void)name;
    return ++*(int *)userdata;
}

static void test_it_ends_when_told(void **state)
{
    struct policy_set *set = fixture_set(policy, NULL);
    int n = 0;

    (void)state;
    assert_int_equal(policy_about(set, "example.com", stop, &n), 1);
    assert_int_equal(n, 1);
    policy_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_name_and_what_is_below),
        cmocka_unit_test(test_what_reaches_it_from_above),
        cmocka_unit_test(test_it_ends_when_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
