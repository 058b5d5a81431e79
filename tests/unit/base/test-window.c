/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/array.h"

#define MONDAY INT64_C(1790553600) /* 2026-09-28 00:00 UTC */
#define AT(day, h, m) (MONDAY + (day)*86400 + (h)*3600 + (m)*60)

static struct windows parse(const char *text)
{
    struct errmsg e = { 0 };
    struct windows w;

    assert_int_equal(windows_parse(text, &w, &e), 0);
    return w;
}

static void test_what_is_a_window(void **state)
{
    static const char *const good[] = {
        "02:00-04:00",
        "Sun 02:00-04:00",
        "Mon..Fri 22:30-05:00 UTC",
        "Fri..Mon,Wed 00:00-24:00 local",
        "Sat 01:00-02:00; Sun 03:00-04:00 local",
    };
    static const char *const bad[] = {
        "",
        "always",
        "Sun",
        "Sun02:00-04:00",
        "sun 02:00-04:00",
        "Sunday 02:00-04:00",
        "Sun, 02:00-04:00",
        "Sun..  02:00-04:00",
        "2:00-4:00",
        "02:00-24:01",
        "24:00-02:00",
        "02:60-04:00",
        "02:00 - 04:00",
        "02:00-04:00 CET",
        "02:00-04:00;",
        "02:00-04:00 UTC x",
        "02:00-04:00\n",
    };
    struct windows w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        w = parse(good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct errmsg e = { 0 };

        print_message("%s\n", bad[i]);
        assert_int_equal(windows_parse(bad[i], &w, &e), WINDOWS_E_INVALID);
        assert_non_null(strstr(e.text, "HH:MM-HH:MM"));
    }
}

static void test_there_are_not_too_many(void **state)
{
    char text[WINDOWS_MAX * 12 + 16] = "02:00-04:00";
    struct errmsg e = { 0 };
    struct windows w;

    (void)state;
    for (int i = 1; i < WINDOWS_MAX; i++)
        strcat(text, ";02:00-04:00");
    w = parse(text);
    assert_int_equal(w.n, WINDOWS_MAX);
    strcat(text, ";02:00-04:00");
    assert_int_equal(windows_parse(text, &w, &e), WINDOWS_E_INVALID);
}

static void test_when_it_is_and_when_the_next_begins(void **state)
{
    static const struct {
        const char *text;
        int64_t now, end, next;
    } cases[] = {
        { "Sun 02:00-04:00", AT(6, 1, 59), 0, AT(6, 2, 0) },
        { "Sun 02:00-04:00", AT(6, 2, 0), AT(6, 4, 0), AT(13, 2, 0) },
        { "Sun 02:00-04:00", AT(6, 3, 59) + 59, AT(6, 4, 0), AT(13, 2, 0) },
        { "Sun 02:00-04:00", AT(6, 4, 0), 0, AT(13, 2, 0) },
        { "Sun 02:00-04:00", AT(5, 3, 0), 0, AT(6, 2, 0) },
        { "22:00-04:00", AT(2, 23, 0), AT(3, 4, 0), AT(3, 22, 0) },
        { "22:00-04:00", AT(3, 3, 0), AT(3, 4, 0), AT(3, 22, 0) },
        /* It is Sunday's until Monday morning. */
        { "Sun 22:00-04:00", AT(7, 3, 0), AT(7, 4, 0), AT(13, 22, 0) },
        { "Sun 22:00-04:00", AT(6, 3, 0), 0, AT(6, 22, 0) },
        { "00:00-24:00", AT(1, 12, 0), AT(2, 0, 0), AT(2, 0, 0) },
        { "02:00-02:00", AT(1, 1, 0), AT(1, 2, 0), AT(1, 2, 0) },
        { "Sat..Mon 02:00-03:00", AT(2, 2, 30), 0, AT(5, 2, 0) },
        /* Of several the one that ends last. */
        { "Mon 01:00-03:00;Mon 02:00-05:00", AT(0, 2, 30), AT(0, 5, 0),
          AT(7, 1, 0) },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct windows w = parse(cases[i].text);

        print_message("%zu %s\n", i, cases[i].text);
        assert_int_equal(windows_end(&w, cases[i].now), cases[i].end);
        assert_int_equal(windows_next(&w, cases[i].now), cases[i].next);
    }
}

static void test_local_is_the_hosts_zone(void **state)
{
    struct windows local = parse("Sun 02:00-04:00 local");
    struct windows utc = parse("Sun 02:00-04:00");

    (void)state;
    assert_int_equal(setenv("TZ", "EAST-3", 1), 0);
    tzset();
    assert_int_equal(windows_end(&local, AT(5, 23, 30)), AT(6, 1, 0));
    assert_int_equal(windows_end(&local, AT(6, 2, 30)), 0);
    assert_int_equal(windows_end(&utc, AT(6, 2, 30)), AT(6, 4, 0));
    assert_int_equal(windows_next(&local, AT(6, 2, 30)), AT(12, 23, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_a_window),
        cmocka_unit_test(test_there_are_not_too_many),
        cmocka_unit_test(test_when_it_is_and_when_the_next_begins),
        cmocka_unit_test(test_local_is_the_hosts_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
