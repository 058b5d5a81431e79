/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/label.h"

static void test_a_label_is_read_as_it_was_written(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    char account[LABEL_ACCOUNT_MAX + 1];
    unsigned generation = 0;

    (void)state;
    assert_int_equal(label_format("pre", "0badcafe", "le-1", 12, &b), 0);
    assert_string_equal(buf_str(&b), "pre:0badcafe:le-1:12");
    assert_true(
        label_parse(buf_str(&b), "pre", "0badcafe", account, &generation));
    assert_string_equal(account, "le-1");
    assert_int_equal(generation, 12);
}

static void test_what_is_no_label_of_ours_is_not_read(void **state)
{
    static const char *const cases[] = {
        "",
        "pre:0badcafe",
        "pre:0badcafe:",
        "pre:0badcafe:le",
        "pre:0badcafe::1",
        "pre:0badcafe:le:",
        "pre:0badcafe:le:0",
        "pre:0badcafe:le:01",
        "pre:0badcafe:le:1x",
        "pre:0badcafe:le:-1",
        "pre:0badcafe:le:1:2",
        "pre:0badcafe:le:9999999999",
        "pre:deadbeef:le:1",    /* another instance */
        "other:0badcafe:le:1",  /* another prefix */
        "prefix:0badcafe:le:1", /* a longer one */
        "pre:0badcafe:a-name-that-is-longer-than-any-account:1",
    };
    char account[LABEL_ACCOUNT_MAX + 1];
    unsigned generation = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i]);
        assert_false(
            label_parse(cases[i], "pre", "0badcafe", account, &generation));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_label_is_read_as_it_was_written),
        cmocka_unit_test(test_what_is_no_label_of_ours_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
