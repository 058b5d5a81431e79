/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/names.h"

static struct {
    unsigned asked;
    uid_t uid;
    bool exists;
    uint64_t now_ms;
} world;

static uint64_t fake_now(void)
{
    return world.now_ms;
}

static int fake_uid(const char *name, uid_t *ret, void *userdata)
{
    (void)userdata;
    (void)name;
    world.asked++;
    if (!world.exists)
        return -ENOENT;
    *ret = world.uid;
    return 0;
}

static int fake_gid(const char *name, gid_t *ret, void *userdata)
{
    (void)name;
    (void)userdata;
    world.asked++;
    *ret = 2001;
    return 0;
}

static const struct policy_names source = { .uid = fake_uid, .gid = fake_gid };
static struct names names;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.uid = 1001;
    world.exists = true;
    world.now_ms = 5000;
    names_init(&names, &source, fake_now);
    return 0;
}

static int look_up(const char *name, uid_t *ret)
{
    return names.policy.uid(name, ret, names.policy.userdata);
}

static void test_a_name_is_asked_once_within_the_ttl(void **state)
{
    uid_t uid = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(look_up("caddy", &uid), 0);
        assert_int_equal(uid, 1001);
    }
    world.now_ms += NAMES_TTL_MS - 1;
    assert_int_equal(look_up("caddy", &uid), 0);
    assert_int_equal(world.asked, 1);
}

static void test_a_dynamic_user_that_comes_and_goes_is_seen(void **state)
{
    uid_t uid = 0;

    (void)state;
    world.exists = false;
    assert_int_not_equal(look_up("caddy", &uid), 0);
    assert_int_not_equal(look_up("caddy", &uid), 0);
    assert_int_equal(world.asked, 1);

    world.exists = true;
    world.now_ms += NAMES_TTL_MS;
    assert_int_equal(look_up("caddy", &uid), 0);
    world.uid = 1002;
    world.now_ms += NAMES_TTL_MS;
    assert_int_equal(look_up("caddy", &uid), 0);
    assert_int_equal(uid, 1002);
}

static void test_users_and_groups_of_one_name_differ(void **state)
{
    uid_t uid = 0;
    gid_t gid = 0;

    (void)state;
    assert_int_equal(look_up("caddy", &uid), 0);
    assert_int_equal(names.policy.gid("caddy", &gid, names.policy.userdata), 0);
    assert_int_equal(uid, 1001);
    assert_int_equal(gid, 2001);
}

static void test_a_long_name_is_asked_each_time(void **state)
{
    char name[NAMES_LEN_MAX + 10];
    uid_t uid = 0;

    (void)state;
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(look_up(name, &uid), 0);
    assert_int_equal(look_up(name, &uid), 0);
    assert_int_equal(world.asked, 2);
}

static void test_more_names_than_slots_stay_right(void **state)
{
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 3 * NAMES_SLOTS; i++) {
        uid_t uid = 0;

        (void)snprintf(name, sizeof(name), "user%u", i);
        world.uid = i;
        assert_int_equal(look_up(name, &uid), 0);
        assert_int_equal(uid, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_name_is_asked_once_within_the_ttl, setup),
        cmocka_unit_test_setup(test_a_dynamic_user_that_comes_and_goes_is_seen,
                               setup),
        cmocka_unit_test_setup(test_users_and_groups_of_one_name_differ, setup),
        cmocka_unit_test_setup(test_a_long_name_is_asked_each_time, setup),
        cmocka_unit_test_setup(test_more_names_than_slots_stay_right, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
