/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/lacme.h"

static void test_a_line_is_split_at_its_dot(void **state)
{
    struct bytes head, payload;

    (void)state;
    assert_int_equal(
        lacme_split_line(bytes_from_str("eyJ-_9.e30"), &head, &payload), 0);
    assert_true(bytes_eq_str(head, "eyJ-_9"));
    assert_true(bytes_eq_str(payload, "e30"));
    /* POST-as-GET */
    assert_int_equal(lacme_split_line(bytes_from_str("eyJ."), &head, &payload),
                     0);
    assert_true(bytes_eq_str(head, "eyJ"));
    assert_int_equal(payload.len, 0);
}

static void test_other_lines_are_no_requests(void **state)
{
    static const char *const cases[] = { "",       ".",        ".e30",
                                         "eyJ",    "eyJ.e.30", "ey J.e30",
                                         "eyJ.e=", "eyJ+.e30", "eyJ.e30\r" };
    struct bytes head, payload;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("'%s'\n", cases[i]);
        assert_int_equal(
            lacme_split_line(bytes_from_str(cases[i]), &head, &payload),
            LACME_E_MALFORMED);
    }
    assert_int_equal(
        lacme_split_line((struct bytes){ (const uint8_t *)"a\0.b", 4 }, &head,
                         &payload),
        LACME_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_split_at_its_dot),
        cmocka_unit_test(test_other_lines_are_no_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
