/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const struct ctl_command *const ctl_commands[] = { NULL };

static void test_a_line_is_shown_without_what_only_programs_read(void **state)
{
    static const struct {
        const char *line, *text;
    } cases[] = {
        { "{\"n\":7,\"time\":\"T\",\"type\":\"decision\",\"uid\":1000,"
          "\"identifiers\":[\"a.example\",\"b.example\"],\"input_sha256\":"
          "\"0\","
          "\"ok\":true,\"mac\":\"00\"}",
          "T  decision  uid=1000 identifiers=a.example,b.example ok=yes" },
        { "{\"detail\":\"a\\u001b[2J\\nb\"}", "-  -         detail=a?[2J?b" },
        { "no\tjson", "no?json" },
        { "[]", "[]" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf b = { 0 };

        assert_int_equal(ctl_tail_format(bytes_from_str(cases[i].line), &b), 0);
        assert_string_equal(buf_str(&b), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_shown_without_what_only_programs_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
