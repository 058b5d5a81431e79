/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/roles.h"

/* Names as a directory service would have them: users are 1001.., groups
 * 2001... */
static int fake_uid(const char *name, uid_t *ret, void *userdata)
{
    (void)userdata;
    if (strcmp(name, "alice") != 0)
        return -ENOENT;
    *ret = 1001;
    return 0;
}

static int fake_gid(const char *name, gid_t *ret, void *userdata)
{
    (void)userdata;
    if (strcmp(name, "ops") != 0 && strcmp(name, "nogroup") != 0)
        return -ENOENT;
    *ret = name[0] == 'o' ? 2001 : 65534;
    return 0;
}

static const struct policy_names names = { .uid = fake_uid, .gid = fake_gid };

static enum role role_for(uid_t uid, gid_t gid)
{
    static char alice[] = "alice", gone[] = "gone", number[] = "1005",
                nobody[] = "65534", ops[] = "ops", monitors[] = "2005",
                nogroup[] = "nogroup";
    static char *admin_users[] = { gone, alice, nobody, NULL };
    static char *ops_groups[] = { ops, NULL };
    static char *monitor_users[] = { number, NULL };
    static char *monitor_groups[] = { monitors, nogroup, NULL };
    const struct roles roles = {
        .users = { [ROLE_ADMIN] = admin_users, [ROLE_MONITOR] = monitor_users },
        .groups = { [ROLE_OPS] = ops_groups, [ROLE_MONITOR] = monitor_groups },
    };
    gid_t gids[] = { gid };
    const struct peer peer = {
        .uid = uid, .gid = gid, .gids = gids, .n_gids = 1
    };

    return roles_of(&roles, &peer, &names);
}

static void test_each_peer_gets_its_highest_role(void **state)
{
    static const struct {
        uid_t uid;
        gid_t gid;
        enum role role;
        const char *why;
    } cases[] = {
        { 0, 0, ROLE_ADMIN, "root always is" },
        { 1001, 9, ROLE_ADMIN, "AdminUser=alice" },
        { 1001, 2001, ROLE_ADMIN, "the higher of two" },
        { 7, 2001, ROLE_OPS, "OpsGroup=ops" },
        { 1005, 9, ROLE_MONITOR, "MonitorUser=1005" },
        { 7, 2005, ROLE_MONITOR, "MonitorGroup=2005" },
        { 7, 9, ROLE_NONE, "nobody listed it" },
        { 65534, 9, ROLE_NONE, "uid 65534 never has a role" },
        { 65534, 2001, ROLE_NONE, "nor through a group" },
        { 7, 65534, ROLE_NONE, "gid 65534 never gives one" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("uid %u gid %u: %s\n", cases[i].uid, cases[i].gid,
                      cases[i].why);
        assert_string_equal(role_name(role_for(cases[i].uid, cases[i].gid)),
                            role_name(cases[i].role));
    }
}

static void test_without_roles_only_root_has_one(void **state)
{
    const struct roles roles = { 0 };
    const struct peer root = { .uid = 0 };
    const struct peer other = { .uid = 1001 };

    (void)state;
    assert_int_equal(roles_of(&roles, &root, &names), ROLE_ADMIN);
    assert_int_equal(roles_of(&roles, &other, &names), ROLE_NONE);
}

static void test_take_moves_the_lists(void **state)
{
    struct settings settings = { 0 };
    struct roles roles = { 0 };
    const struct peer peer = { .uid = 1001 };

    (void)state;
    settings.ops_users = calloc(2, sizeof(char *));
    assert_non_null(settings.ops_users);
    settings.ops_users[0] = strdup("alice");
    roles_take(&roles, &settings);
    assert_null(settings.ops_users);
    assert_int_equal(roles_of(&roles, &peer, &names), ROLE_OPS);
    roles_take(&roles, &settings);
    assert_int_equal(roles_of(&roles, &peer, &names), ROLE_NONE);
    roles_deinit(&roles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_peer_gets_its_highest_role),
        cmocka_unit_test(test_without_roles_only_root_has_one),
        cmocka_unit_test(test_take_moves_the_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
