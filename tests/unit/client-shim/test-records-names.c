/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client-shim/ctl.h"
#include "client-shim/records-names.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define L49 "a23456789012345678901234567890123456789012345678."

static void test_one_form_for_all_ways_to_write_it(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        { "example.com", "example.com" },
        { "WWW.Example.COM.", "www.example.com" },
        { "M\xc3\x9cNCHEN.example", "xn--mnchen-3ya.example" },
        { "XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example" },
        /* The longest with room for the label. */
        { L49 L49 L49 L49 "a234567890123456789012345678901234567",
          L49 L49 L49 L49 "a234567890123456789012345678901234567" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[DNS_NAME_MAX + 1];
        struct errmsg err = { 0 };

        assert_int_equal(records_name_read(cases[i].text, name, &err), 0);
        assert_string_equal(name, cases[i].name);
    }
}

static void test_what_is_no_name_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "*.example.com", "with --wildcard" },
        { "localhost", "localhost is no domain name: " },
        { "a_b.example", "a_b.example is no domain name: " },
        { "", "is no domain name: " },
        { "\xff.example", "is no domain name: " },
        { L49 L49 L49 L49 "a2345678901234567890123456789012345678",
          "too long" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[DNS_NAME_MAX + 1] = "untouched";
        struct errmsg err = { 0 };

        print_message("%s\n", cases[i].text);
        assert_int_equal(records_name_read(cases[i].text, name, &err),
                         RECORDS_NAMES_E_INVALID);
        assert_non_null(strstr(err.text, cases[i].says));
    }
}

struct bad {
    unsigned lines[8];
    size_t n;
};

static void note_bad(const struct errmsg *e, void *userdata)
{
    struct bad *bad = userdata;

    assert_string_equal(e->file, "names");
    assert_true(e->text[0]);
    assert_true(bad->n < ARRAY_LEN(bad->lines));
    bad->lines[bad->n++] = e->line;
}

static int read_text(struct bytes text, struct records_names *names,
                     struct bad *bad)
{
    FILE *f = fmemopen(bytes_unconst(text), text.len, "r");
    int r;

    assert_non_null(f);
    r = records_names_read_file(names, f, "names", note_bad, bad);
    (void)fclose(f);
    return r;
}

static void test_a_file_has_one_name_a_line(void **state)
{
    CLEANUP_RECORDS_NAMES struct records_names names = { 0 };
    struct bad bad = { 0 };

    (void)state;
    assert_int_equal(read_text(bytes_from_str("# ours\n\n \t\n  a.example  \r\n"
                                              "\tB.example\nc.example"),
                               &names, &bad),
                     0);
    assert_int_equal(bad.n, 0);
    assert_int_equal(names.n, 3);
    assert_string_equal(names.items[0], "a.example");
    assert_string_equal(names.items[1], "b.example");
    assert_string_equal(names.items[2], "c.example");
}

static void test_every_bad_line_is_named(void **state)
{
    static const char text[] = "a.example\na b.example\n\n*.a.example\n"
                               "b.example # ours\nc\0.example\nd.example\n";
    CLEANUP_RECORDS_NAMES struct records_names names = { 0 };
    struct bad bad = { 0 };

    (void)state;
    assert_int_equal(
        read_text((struct bytes){ (const uint8_t *)text, sizeof(text) - 1 },
                  &names, &bad),
        RECORDS_NAMES_E_INVALID);
    assert_int_equal(bad.n, 4);
    assert_int_equal(bad.lines[0], 2);
    assert_int_equal(bad.lines[1], 4);
    assert_int_equal(bad.lines[2], 5);
    assert_int_equal(bad.lines[3], 6);
    assert_int_equal(names.n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_form_for_all_ways_to_write_it),
        cmocka_unit_test(test_what_is_no_name_is_refused),
        cmocka_unit_test(test_a_file_has_one_name_a_line),
        cmocka_unit_test(test_every_bad_line_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
