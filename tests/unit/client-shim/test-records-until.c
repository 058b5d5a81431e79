/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "acme/persist.h"
#include "client-shim/ctl.h"
#include "client-shim/records-until.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define NOW INT64_C(1795000000) /* 2026-11-18T11:06:40Z */

static void test_dates_times_and_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
    } cases[] = {
        { "2027-01-31", 1801353600 },
        { "2028-02-29", 1835395200 },
        { "2027-01-31T12:00:00Z", 1801396800 },
        { "2027-01-31T12:00:00.9+01:00", 1801393200 },
        { "9999-12-31T23:59:59Z", PERSIST_UNTIL_MAX },
        { "@1801353600", 1801353600 },
        { "1s", NOW + 1 },
        { "90min", NOW + 5400 },
        { "12h", NOW + 43200 },
        { "365d", NOW + 31536000 },
        { "2w", NOW + 1209600 },
        { "1y", NOW + 31536000 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct errmsg err = { 0 };
        int64_t s = 0;

        print_message("%s\n", cases[i].text);
        assert_int_equal(records_until_parse(cases[i].text, NOW, &s, &err), 0);
        assert_int_equal(s, cases[i].s);
    }
}

static void test_what_says_no_time_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "1801353600",
        "365",
        "d",
        "365 d",
        "365D",
        "1ms",
        "1m",
        "1y6w",
        "-1d",
        "+1d",
        "2027-02-29",
        "2027-13-01",
        "31-01-2027",
        "2027-1-31",
        "2027/01/31",
        "tomorrow",
        "@",
        "@-1",
        "@1801353600 ",
        "@1.5",
        "2027-01-31T00:00:00",
        "99999999999999999999d",
        "9223372036854775807y",
        "2027-01-31\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct errmsg err = { 0 };
        int64_t s = 7;

        print_message("'%s'\n", cases[i]);
        assert_int_equal(records_until_parse(cases[i], NOW, &s, &err),
                         RECORDS_UNTIL_E_INVALID);
        assert_int_equal(s, 7);
        assert_non_null(strstr(err.text, "takes a date"));
    }
}

static void test_the_past_is_refused_and_named(void **state)
{
    static const char *const cases[] = { "2020-01-01",  "0d",
                                         "0s",          "2026-11-18T11:06:40Z",
                                         "@1794999999", "@0" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct errmsg err = { 0 };
        int64_t s = 7;

        print_message("%s\n", cases[i]);
        assert_int_equal(records_until_parse(cases[i], NOW, &s, &err),
                         RECORDS_UNTIL_E_INVALID);
        assert_int_equal(s, 7);
        assert_non_null(strstr(err.text, "in the past"));
    }
}

static void test_after_the_year_9999_is_refused(void **state)
{
    static const char *const cases[] = { "@253402300800", "8000y" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct errmsg err = { 0 };
        int64_t s = 7;

        assert_int_equal(records_until_parse(cases[i], NOW, &s, &err),
                         RECORDS_UNTIL_E_INVALID);
        assert_non_null(strstr(err.text, "after the year 9999"));
    }
}

static void test_times_are_written_in_utc(void **state)
{
    char text[RECORDS_TIME_MAX];

    (void)state;
    records_time_format(1801353600, text);
    assert_string_equal(text, "2027-01-31T00:00:00Z");
    records_time_format(PERSIST_UNTIL_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    records_time_format(INT64_MAX, text);
    assert_string_equal(text, "@9223372036854775807");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_times_and_durations),
        cmocka_unit_test(test_what_says_no_time_is_refused),
        cmocka_unit_test(test_the_past_is_refused_and_named),
        cmocka_unit_test(test_after_the_year_9999_is_refused),
        cmocka_unit_test(test_times_are_written_in_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
