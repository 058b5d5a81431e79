/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

/* MaxValidity= counts from now: a caller without a clock gets no dates. */
static void test_the_policy_is_told_who_and_when(void **state)
{
    gid_t gids[] = { 7, 8 };
    char unit[] = "web.service";
    struct peer peer = {
        .uid = 5, .gids = gids, .n_gids = 2, .unit = unit, .unit_certain = true
    };
    time_t before = time(NULL);
    struct policy_caller caller = decide_caller(&peer, "tenant");

    (void)state;
    assert_int_equal(caller.uid, 5);
    assert_int_equal(caller.n_gids, 2);
    assert_ptr_equal(caller.gids, gids);
    assert_string_equal(caller.unit, "web.service");
    assert_true(caller.unit_certain);
    assert_string_equal(caller.socket, "tenant");
    assert_true(caller.now >= before && caller.now <= time(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_policy_is_told_who_and_when),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
