/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-fixture.h"

#define ALLOW "\n[Allow]\nAccount=test\n"

/* Does a rule set with these lines in [Client] match the caller? */
static bool matches(const char *client, const struct policy_caller *caller)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    char text[512];
    bool knows;

    (void)snprintf(text, sizeof(text), "[Client]\n%s" ALLOW, client);
    set = fixture_set(text, NULL);
    knows = policy_knows(set, caller, &fixture_names);
    assert_true(policy_may_use(set, caller, &fixture_names, "test") == knows);
    return knows;
}

static void test_user_by_number_and_by_name(void **state)
{
    static const struct {
        const char *client;
        uid_t uid;
        bool matches;
    } cases[] = {
        { "User=1000", 1000, true },
        { "User=1000", 1001, false },
        { "User=0", 0, true },
        { "User=caddy", 1000, true },
        { "User=caddy", 33, false },
        { "User=www caddy", 33, true },
        { "User=www\nUser=caddy", 1000, true },
        { "User=www\nUser=\nUser=caddy", 33, false },
        { "User=unknown", 1000, false },
        { "User=unknown 1000", 1000, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_caller caller = { .uid = cases[i].uid };

        if (matches(cases[i].client, &caller) != cases[i].matches)
            fail_msg("%s and uid %u: not %d", cases[i].client, cases[i].uid,
                     cases[i].matches);
    }
}

static void test_nobody_never_matches(void **state)
{
    static const gid_t gids[] = { 65534 };
    struct policy_caller nobody = {
        .uid = 65534, .gids = gids, .n_gids = 1, .socket = "s"
    };
    struct policy_caller none = { .uid = (uid_t)-1, .socket = "s" };
    struct policy_caller nogroup = { .uid = 1, .gids = gids, .n_gids = 1 };

    (void)state;
    assert_false(matches("User=nobody", &nobody));
    assert_false(matches("Socket=s", &nobody));
    assert_false(matches("Socket=s", &none));
    assert_false(matches("Group=nogroup", &nogroup));
    assert_false(matches("User=unknown", &nobody));
    assert_false(matches("User=unknown", &none));
}

static void test_group_is_any_of_the_callers(void **state)
{
    static const gid_t gids[] = { 7, 2000 };
    struct policy_caller member = { .uid = 1, .gids = gids, .n_gids = 2 };
    struct policy_caller other = { .uid = 1, .gids = gids, .n_gids = 1 };

    (void)state;
    assert_true(matches("Group=web", &member));
    assert_true(matches("Group=2000", &member));
    assert_true(matches("Group=unknown 7", &other));
    assert_false(matches("Group=web", &other));
    assert_false(matches("Group=unknown", &member));
}

static void test_socket_is_the_instance(void **state)
{
    struct policy_caller tenant = { .uid = 1, .socket = "tenant-a" };
    struct policy_caller common = { .uid = 1 };

    (void)state;
    assert_true(matches("Socket=tenant-a", &tenant));
    assert_true(matches("Socket=tenant-b tenant-a", &tenant));
    assert_false(matches("Socket=tenant-b", &tenant));
    assert_false(matches("Socket=tenant-a", &common));
    /* A rule without Socket= holds on any. */
    assert_true(matches("User=1", &tenant));
}

static void test_unit_exact_and_template(void **state)
{
    static const struct {
        const char *client;
        const char *unit;
        bool matches;
    } cases[] = {
        { "User=1\nUnit=web.service", "web.service", true },
        { "User=1\nUnit=web.service", "web@a.service", false },
        { "User=1\nUnit=web.service", NULL, false },
        { "User=1\nUnit=a.scope web.service", "web.service", true },
        { "User=1\nUnit=web@*.service", "web@a.service", true },
        { "User=1\nUnit=web@*.service", "web@a@b.service", true },
        { "User=1\nUnit=web@*.service", "web@.service", false },
        { "User=1\nUnit=web@*.service", "web@service", false },
        { "User=1\nUnit=web@*.service", "xweb@a.service", false },
        { "User=1\nUnit=web@*.service", "web@a.scope", false },
        { "User=1\nUnit=web@*.service", "web", false },
        { "User=1\nUnit=web@a.service", "web@b.service", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_caller caller = { .uid = 1,
                                        .unit = cases[i].unit,
                                        .unit_certain = true };

        if (matches(cases[i].client, &caller) != cases[i].matches)
            fail_msg("%s and %s: not %d", cases[i].client,
                     cases[i].unit ? cases[i].unit : "no unit",
                     cases[i].matches);
    }
}

static void test_uncertain_unit_needs_user_too(void **state)
{
    static const gid_t gids[] = { 7 };
    struct policy_caller caller = {
        .uid = 1, .gids = gids, .n_gids = 1, .unit = "web.service"
    };

    (void)state;
    assert_true(matches("User=1\nUnit=web.service", &caller));
    assert_false(matches("Group=7\nUnit=web.service", &caller));
    assert_false(matches("User=1\nUnit=other.service", &caller));
    caller.unit_certain = true;
    assert_true(matches("Group=7\nUnit=web.service", &caller));
}

static void test_all_conditions_must_hold(void **state)
{
    static const char client[] =
        "User=1000\nGroup=7\nSocket=s\nUnit=web.service";
    static const gid_t gids[] = { 7 };
    struct policy_caller good = { .uid = 1000,
                                  .gids = gids,
                                  .n_gids = 1,
                                  .unit = "web.service",
                                  .unit_certain = true,
                                  .socket = "s" };
    struct policy_caller bad = good;

    (void)state;
    assert_true(matches(client, &good));
    bad.uid = 1001;
    assert_false(matches(client, &bad));
    bad = good;
    bad.n_gids = 0;
    assert_false(matches(client, &bad));
    bad = good;
    bad.socket = NULL;
    assert_false(matches(client, &bad));
    bad = good;
    bad.unit = "other.service";
    assert_false(matches(client, &bad));
}

static void test_names_are_looked_up_last_and_numbers_never(void **state)
{
    struct policy_caller caller = { .uid = 1000 };

    (void)state;
    fixture_lookups = 0;
    assert_true(matches("User=1000", &caller));
    assert_false(matches("User=caddy\nSocket=s", &caller));
    assert_false(matches("User=caddy\nUnit=a.service", &caller));
    assert_false(matches("User=1\nGroup=web", &caller));
    assert_int_equal(fixture_lookups, 0);
    assert_true(matches("User=caddy", &caller));
    assert_int_not_equal(fixture_lookups, 0);
}

static void test_system_names_resolve(void **state)
{
    uid_t uid = 1;
    gid_t gid = 1;

    (void)state;
    assert_int_equal(policy_names_nss.uid("root", &uid, NULL), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(policy_names_nss.gid("root", &gid, NULL), 0);
    assert_int_equal(gid, 0);
    assert_int_not_equal(
        policy_names_nss.uid("no-such-user-anywhere", &uid, NULL), 0);
    assert_int_not_equal(
        policy_names_nss.gid("no-such-group-anywhere", &gid, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_by_number_and_by_name),
        cmocka_unit_test(test_nobody_never_matches),
        cmocka_unit_test(test_group_is_any_of_the_callers),
        cmocka_unit_test(test_socket_is_the_instance),
        cmocka_unit_test(test_unit_exact_and_template),
        cmocka_unit_test(test_uncertain_unit_needs_user_too),
        cmocka_unit_test(test_all_conditions_must_hold),
        cmocka_unit_test(test_names_are_looked_up_last_and_numbers_never),
        cmocka_unit_test(test_system_names_resolve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
