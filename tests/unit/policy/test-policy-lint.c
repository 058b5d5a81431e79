/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-fixture.h"

#include <errno.h>

#define CLIENT(user) "[Client]\nUser=" user "\n[Allow]\nAccount=test\n"

static int note(const char *file, unsigned line, const char *warning,
                void *userdata)
{
    struct buf *b = userdata;

    assert_string_equal(file, "f");
    return buf_printf(b, "%u: %s\n", line, warning);
}

static void check(const char *policy, char *const *deny, const char *expected)
{
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(policy, deny);
    CLEANUP_BUF struct buf b = { 0 };

    assert_int_equal(policy_lint(set, note, &b), 0);
    assert_string_equal(buf_str(&b), expected);
}

static void test_nothing_to_say(void **state)
{
    (void)state;
    check("", NULL, "");
    check(CLIENT("1") "Domain=example.com\n", NULL, "");
    check("[Client]\nUser=1\n[Allow]\nAccount=a\nDomain=a.example.com\n"
          "[Client]\nUser=2\n[Allow]\nAccount=b\nDomain=b.example.com\n",
          NULL, "");
}

static void test_numeric_dynamic_ids(void **state)
{
    (void)state;
    check(CLIENT("61183 65520 caddy") "Domain=example.com\n", NULL, "");
    check("[Client]\nUser=61184\nGroup=65519\n[Allow]\nAccount=test\n"
          "Domain=example.com\n",
          NULL,
          "1: User=61184 is in the range of dynamic users (61184 to 65519), "
          "whose numbers change: give the name\n"
          "1: Group=65519 is in the range of dynamic users (61184 to 65519), "
          "whose numbers change: give the name\n");
}

static void test_orders_without_names(void **state)
{
    (void)state;
    check(CLIENT("1"), NULL,
          "1: no Domain=, Subdomains=, Wildcard= or Address=: every order is "
          "refused\n");
    check(CLIENT("1") "Operations=fetch\n", NULL, "");
    check(CLIENT("1") "Address=192.0.2.1\n", NULL, "");
}

static void test_names_that_deny_takes_away(void **state)
{
    char *const deny[] = { (char[]){ "a.example.com" }, NULL };

    (void)state;
    check(CLIENT("1") "Domain=x.a.example.com b.example.com\n"
                      "Wildcard=example.com b.example.com\n",
          deny,
          "1: x.a.example.com is granted here, but refused by [Deny]\n"
          "1: *.example.com is granted here, but refused by [Deny]\n");
}

static void test_wildcard_over_another_clients_names(void **state)
{
#define OTHER(user) "[Client]\nUser=" user "\n[Allow]\nAccount=second\n"
    (void)state;
    check(CLIENT("1") "Wildcard=example.com\n" /* 1 to 5 */
          OTHER("2") "Domain=a.example.com b.example.com\n",
          NULL,
          "1: Wildcard=example.com covers a.example.com of another client, "
          "f:6\n");
    check(OTHER("2") "Domain=a.example.com\n" CLIENT(
              "1") "Wildcard=example.com\n",
          NULL,
          "6: Wildcard=example.com covers a.example.com of another client, "
          "f:1\n");
    check(CLIENT("1") "Wildcard=example.com\n" OTHER(
              "2") "Wildcard=example.com\n",
          NULL,
          "6: Wildcard=example.com is also given to another client, f:1\n");
    check(CLIENT("1") "Wildcard=x.example.com\n" OTHER(
              "2") "Subdomains=example.com\n",
          NULL,
          "1: Wildcard=x.example.com covers names of another client, "
          "Subdomains=example.com at f:6\n");
    check(CLIENT("1") "Wildcard=example.com\n" OTHER(
              "2") "Domain=example.com a.b.example.com\n",
          NULL, "");
    /* the same client */
    check(CLIENT("1") "Wildcard=example.com\n" OTHER(
              "1") "Domain=a.example.com\nWildcard=example.com\n"
                   "Subdomains=example.com\n",
          NULL, "");
}

static void test_disjoint_rule_sets_on_one_account(void **state)
{
    static const char warning[] =
        "6: shares account test with f:1, but neither client nor names: "
        "separate accounts would keep them apart\n";
    static const struct {
        const char *first;
        const char *user;
        const char *second;
        bool disjoint;
    } cases[] = {
        { "Domain=a.example.com", "2", "Domain=b.example.com", true },
        { "Domain=a.example.com", "1", "Domain=b.example.com", false },
        { "Domain=a.example.com", "2", "Domain=a.example.com", false },
        { "Domain=a.example.com", "2", "Subdomains=example.com", false },
        { "Subdomains=example.com", "2", "Subdomains=x.example.com", false },
        { "Subdomains=example.com", "2", "Subdomains=example.net", true },
        { "Address=192.0.2.0/24", "2", "Address=192.0.2.7", false },
        { "Address=192.0.2.7", "2", "Address=192.0.2.0/24", false },
        { "Address=192.0.2.7", "2", "Address=192.0.2.8", true },
        { "Address=192.0.2.7", "2", "Domain=b.example.com", true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char policy[512];

        (void)snprintf(policy, sizeof(policy),
                       CLIENT("1") "%s\n" CLIENT("%s") "%s\n", cases[i].first,
                       cases[i].user, cases[i].second);
        check(policy, NULL, cases[i].disjoint ? warning : "");
    }
}

static void test_groups_are_told_once_each(void **state)
{
    (void)state;
    check(CLIENT("1") "Domain=a.example.com\n"               /* 1 */
          CLIENT("2") "Domain=b.example.com\n"               /* 6 */
          CLIENT("3") "Domain=a.example.com b.example.com\n" /* 11 */
          CLIENT("4") "Domain=c.example.com\n"               /* 16 */
          CLIENT("5") "Domain=c.example.com d.example.com\n" /* 21 */
          CLIENT("6") "Domain=e.example.com\n"               /* 26 */
          CLIENT("7") "Operations=fetch\n",
          NULL,
          "16: shares account test with f:1, but neither client nor names: "
          "separate accounts would keep them apart\n"
          "26: shares account test with f:1, but neither client nor names: "
          "separate accounts would keep them apart\n");
}

static int stop(const char *file, unsigned line, const char *warning,
                void *userdata)
{
    (void)file;
    (void)line;
    (void)warning;
    (void)userdata;
    return -EPIPE;
}

static void test_the_callback_can_stop_it(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set =
        fixture_set(CLIENT("61184") CLIENT("2") "Domain=example.com\n", NULL);

    (void)state;
    assert_int_equal(policy_lint(set, stop, NULL), -EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_say),
        cmocka_unit_test(test_numeric_dynamic_ids),
        cmocka_unit_test(test_orders_without_names),
        cmocka_unit_test(test_names_that_deny_takes_away),
        cmocka_unit_test(test_wildcard_over_another_clients_names),
        cmocka_unit_test(test_disjoint_rule_sets_on_one_account),
        cmocka_unit_test(test_groups_are_told_once_each),
        cmocka_unit_test(test_the_callback_can_stop_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
