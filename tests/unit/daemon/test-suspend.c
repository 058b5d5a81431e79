/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/suspend.h"

static char all[] = "all", account[] = "account", client[] = "client",
            le[] = "le", uid[] = "1000";

static void test_a_suspension_covers_its_scope_only(void **state)
{
    static struct store_suspension by_account[] = { { account, le, 1, uid } };
    static struct store_suspension by_client[] = { { client, uid, 1, uid } };
    static struct store_suspension by_all[] = { { all, NULL, 1, uid } };
    const struct {
        struct suspend suspend;
        const char *account;
        uid_t uid;
        bool covered;
    } cases[] = {
        { { NULL, 0 }, "le", 1000, false },
        { { by_account, 1 }, "le", 1000, true },
        { { by_account, 1 }, "le", 7, true },
        { { by_account, 1 }, "other", 1000, false },
        { { by_client, 1 }, "le", 1000, true },
        { { by_client, 1 }, "other", 1000, true },
        { { by_client, 1 }, "le", 100, false },
        { { by_client, 1 }, "1000", 7, false },
        { { by_all, 1 }, "le", 1000, true },
        { { by_all, 1 }, "other", 7, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu: %s, uid %u\n", i, cases[i].account,
                      cases[i].uid);
        assert_int_equal(
            suspend_covers(&cases[i].suspend, cases[i].account, cases[i].uid),
            cases[i].covered);
    }
}

static void test_a_scope_has_the_name_that_it_needs(void **state)
{
    static const struct {
        const char *scope, *name;
        bool ok;
    } cases[] = {
        { "all", NULL, true },
        { "all", "le", false },
        { "account", "le", true },
        { "account", NULL, false },
        { "client", "1000", true },
        { "client", NULL, false },
        { "client", "caddy", false },
        { "client", "", false },
        { "client", "01000", false },
        { "client", "4294967295", false },
        { "client", "-1", false },
        { "client", "0", true },
        { "everything", NULL, false },
        { "", NULL, false },
        { "client", "99999999999", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s %s\n", cases[i].scope,
                      cases[i].name ? cases[i].name : "-");
        assert_int_equal(suspend_scope_ok(cases[i].scope, cases[i].name),
                         cases[i].ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_suspension_covers_its_scope_only),
        cmocka_unit_test(test_a_scope_has_the_name_that_it_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
