/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct config_schema schema[] = {
    { "A", false, (const char *const[]){ "List", "Num", "On", "Time", NULL } },
    { "B", true, (const char *const[]){ "Key", NULL } },
    { NULL, false, NULL },
};

static struct config *good(const char *text)
{
    struct config *c = NULL;
    struct errmsg e = { 0 };

    if (config_parse(bytes_from_str(text), "f", schema, &c, &e))
        fail_msg("%s:%u: %s", e.file, e.line, e.text);
    return c;
}

static int collect(const char *word, unsigned line, void *userdata)
{
    return buf_printf(userdata, "%s@%u ", word, line);
}

static void test_sections_keep_order_and_lines(void **state)
{
    CLEANUP_CONFIG struct config *c =
        good("# c\n[A]\nNum=1\n\n; d\n[B one]\nKey=x\n[A]\r\nNum=2");

    (void)state;
    assert_int_equal(config_n_sections(c), 3);
    assert_string_equal(config_section(c, 0)->name, "A");
    assert_string_equal(config_section(c, 1)->arg, "one");
    assert_int_equal(config_section(c, 1)->line, 6);
    assert_string_equal(config_last(config_section(c, 2), "Num", NULL), "2");
}

static void test_repeated_keys_add_and_empty_resets(void **state)
{
    CLEANUP_CONFIG struct config *c =
        good("[A]\nList=a b\nList=c\nList=\nList = d\te \nList=f\n");
    CLEANUP_BUF struct buf words = { 0 };

    (void)state;
    assert_int_equal(
        config_words(config_section(c, 0), "List", collect, &words), 0);
    assert_string_equal(buf_str(&words), "d@5 e@5 f@6 ");
}

static void test_a_hash_inside_a_value_is_no_comment(void **state)
{
    CLEANUP_CONFIG struct config *c = good("[A]\nList=a#b ;c\n");

    (void)state;
    assert_string_equal(config_last(config_section(c, 0), "List", NULL),
                        "a#b ;c");
}

static void test_bad_input_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *says;
    } cases[] = {
        { "Num=1\n", 1, "before the first" },
        { "[A]\nNim=1\n", 2, "unknown key Nim=" },
        { "[A]\n[C]\n", 2, "unknown section: C" },
        { "[A x]\n", 1, "takes no name" },
        { "[B]\n", 1, "needs a name" },
        { "[B x y]\n", 1, "one word" },
        { "[A\n", 1, "ends with ']'" },
        { "[A]\nnonsense\n", 2, "expected Key=value" },
        { "[A]\nList=a\x01z\n", 2, "control character" },
        { "[A]\nList=\xff\n", 2, "not UTF-8" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = NULL;
        struct errmsg e = { 0 };

        assert_int_equal(
            config_parse(bytes_from_str(cases[i].text), "f", schema, &c, &e),
            CONFIG_E_INVALID);
        assert_int_equal(e.line, cases[i].line);
        if (!strstr(e.text, cases[i].says))
            fail_msg("%s: got \"%s\"", cases[i].says, e.text);
    }
}

static void test_a_line_has_a_limit(void **state)
{
    CLEANUP_BUF struct buf text = { 0 };
    struct config *c = NULL;
    struct errmsg e = { 0 };

    (void)state;
    assert_int_equal(buf_append_str(&text, "[A]\nList="), 0);
    while (text.len < CONFIG_LINE_MAX + 4)
        assert_int_equal(buf_append_char(&text, 'x'), 0);
    c = good(buf_str(&text)); /* exactly the limit */
    c = config_free(c);
    assert_int_equal(buf_append_char(&text, 'x'), 0);
    assert_int_equal(config_parse(buf_bytes(&text), "f", schema, &c, &e),
                     CONFIG_E_INVALID);
    assert_int_equal(e.line, 2);
}

static void test_a_nul_is_refused(void **state)
{
    static const char text[] = "[A]\nList=a\0b\n";
    struct config *c = NULL;
    struct errmsg e = { 0 };

    (void)state;
    assert_int_equal(
        config_parse((struct bytes){ (const uint8_t *)text, sizeof(text) - 1 },
                     "f", schema, &c, &e),
        CONFIG_E_INVALID);
    assert_int_equal(e.line, 2);
}

static void test_typed_values(void **state)
{
    CLEANUP_CONFIG struct config *c =
        good("[A]\nNum=12\nOn=yes\nTime=2min\n[A]\nNum=1x\nOn=maybe\n"
             "Time=3 weeks\n[A]\nNum=99999999999999999999\nTime=500ms\n");
    const struct config_section *one = config_section(c, 0);
    const struct config_section *two = config_section(c, 1);
    const struct config_section *three = config_section(c, 2);
    struct errmsg e = { 0 };
    uint64_t n = 0;
    bool on = false;

    (void)state;
    assert_int_equal(config_get_uint(one, "Num", 0, 12, &n, &e), 0);
    assert_int_equal(n, 12);
    assert_int_equal(config_get_uint(one, "Num", 0, 11, &n, &e),
                     CONFIG_E_INVALID);
    assert_int_equal(config_get_bool(one, "On", &on, &e), 0);
    assert_true(on);
    assert_int_equal(config_get_ms(one, "Time", 0, 1000000, &n, &e), 0);
    assert_int_equal(n, 120000);
    assert_int_equal(config_get_ms(three, "Time", 0, 1000000, &n, &e), 0);
    assert_int_equal(n, 500);
    assert_int_equal(config_get_uint(two, "Num", 0, 99, &n, &e),
                     CONFIG_E_INVALID);
    assert_int_equal(e.line, 6);
    assert_int_equal(config_get_bool(two, "On", &on, &e), CONFIG_E_INVALID);
    assert_int_equal(config_get_ms(two, "Time", 0, 99, &n, &e),
                     CONFIG_E_INVALID);
    assert_int_equal(config_get_uint(three, "Num", 0, UINT64_MAX, &n, &e),
                     CONFIG_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_keep_order_and_lines),
        cmocka_unit_test(test_repeated_keys_add_and_empty_resets),
        cmocka_unit_test(test_a_hash_inside_a_value_is_no_comment),
        cmocka_unit_test(test_bad_input_is_named_with_its_line),
        cmocka_unit_test(test_a_line_has_a_limit),
        cmocka_unit_test(test_a_nul_is_refused),
        cmocka_unit_test(test_typed_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
