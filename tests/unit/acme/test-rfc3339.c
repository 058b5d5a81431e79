/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/rfc3339.h"

static void test_times(void **state)
{
    static const struct {
        const char *text;
        bool up;
        int64_t want; /* 0: refused */
    } cases[] = {
        { "2027-01-01T00:00:00Z", false, 1798761600 },
        { "1970-01-01T00:00:01Z", false, 1 },
        { "2024-02-29T23:59:59Z", false, 1709251199 },
        { "2027-01-01T01:00:00+01:00", false, 1798761600 },
        { "2026-12-31T18:30:00-05:30", false, 1798761600 },
        { "2027-01-01T00:00:00-00:00", false, 1798761600 },
        { "2027-01-01T00:00:00.999999999Z", false, 1798761600 },
        { "2027-01-01T00:00:00.999Z", true, 1798761601 },
        { "2027-01-01T00:00:00.001+00:00", true, 1798761601 },
        { "2027-01-01T00:00:00.000Z", true, 1798761600 },
        { "9999-12-31T23:59:59Z", false, 253402300799 },
        { "1970-01-01T00:00:00Z", false, 0 },
        { "1969-12-31T23:59:59Z", false, 0 },
        { "1970-01-01T00:00:01+01:00", false, 0 },
        { "0000-01-01T00:00:00Z", false, 0 },
        { "", false, 0 },
        { "2027-01-01", false, 0 },
        { "2027-01-01T00:00Z", false, 0 },
        { "2027-01-01T00:00:00", false, 0 },
        { "2027-01-01 00:00:00Z", false, 0 },
        { "2027-01-01t00:00:00Z", false, 0 },
        { "2027-01-01T00:00:00z", false, 0 },
        { "2027-01-01T00:00:00ZZ", false, 0 },
        { "2027-01-01T00:00:00Z ", false, 0 },
        { " 2027-01-01T00:00:00Z", false, 0 },
        { "2027-1-01T00:00:00Z", false, 0 },
        { "12027-01-01T00:00:00Z", false, 0 },
        { "+027-01-01T00:00:00Z", false, 0 },
        { "2027-00-01T00:00:00Z", false, 0 },
        { "2027-13-01T00:00:00Z", false, 0 },
        { "2027-01-00T00:00:00Z", false, 0 },
        { "2027-01-32T00:00:00Z", false, 0 },
        { "2027-02-29T00:00:00Z", false, 0 },
        { "2027-04-31T00:00:00Z", false, 0 },
        { "2027-01-01T24:00:00Z", false, 0 },
        { "2027-01-01T00:60:00Z", false, 0 },
        { "2027-01-01T00:00:60Z", false, 0 },
        { "2027-01-01T00:00:00.Z", false, 0 },
        { "2027-01-01T00:00:00,5Z", false, 0 },
        { "2027-01-01T00:00:00.1234567890Z", false, 0 },
        { "2027-01-01T00:00:00+1:00", false, 0 },
        { "2027-01-01T00:00:00+0100", false, 0 },
        { "2027-01-01T00:00:00+01:00:00", false, 0 },
        { "2027-01-01T00:00:00+24:00", false, 0 },
        { "2027-01-01T00:00:00+23:60", false, 0 },
        { "2027-01-01T00:00:00*01:00", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal refusal = { 0 };
        int64_t s = 0;
        int r = rfc3339_read(B(cases[i].text), cases[i].up, &s, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].want ? NULL : "bad-time",
                       cases[i].text);
        assert_int_equal(s, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
