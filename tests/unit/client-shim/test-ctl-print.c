/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client-shim/ctl-print.h"

const struct ctl_command *const ctl_commands[] = { NULL };

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 3 };
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    CTL_TABLE_ROW(&t, "NAME", "STATE", "TEXT");
    CTL_TABLE_ROW(&t, "le", NULL, "");
    CTL_TABLE_ROW(&t, "m\xc3\xbcnchen", "ok", "t");
    assert_int_equal(ctl_table_format(&t, &b), 0);
    assert_string_equal(buf_str(&b), "NAME     STATE  TEXT\n"
                                     "le       -      -\n"
                                     "m\xc3\xbcnchen  ok     t\n");
}

/* What a CA or token calls itself must not move the cursor. */
static void test_control_characters_do_not_reach_the_terminal(void **state)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    ctl_table_pair(&t, "label", "a\x1b[2Jb\nc\x7f");
    assert_int_equal(ctl_table_format(&t, &b), 0);
    assert_string_equal(buf_str(&b), "label  a?[2Jb?c?\n");
}

static void test_pairs_leave_out_what_is_not_there(void **state)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };
    CLEANUP_BUF struct buf b = { 0 };
    json_t *list = json_pack("[s,s]", "mailto:a@b.example", "c");
    json_t *empty = json_array();

    (void)state;
    ctl_table_pair(&t, "url", NULL);
    ctl_table_pair_list(&t, "contacts", list);
    ctl_table_pair_list(&t, "origins", empty);
    ctl_table_pair_list(&t, "absent", NULL);
    assert_int_equal(ctl_table_format(&t, &b), 0);
    assert_string_equal(buf_str(&b), "contacts  mailto:a@b.example c\n");
    json_decref(list);
    json_decref(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(test_pairs_leave_out_what_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
