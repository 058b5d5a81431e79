/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client-shim/issue-renewal.h"

#define START INT64_C(1800000000)
#define DAY INT64_C(86400)

static const struct issue_validity ninety = { START, START + 90 * DAY };

static void digest_of(uint8_t octet, uint8_t ret[static 32])
{
    (void)memset(ret, octet, 32);
}

static void test_two_thirds_without_a_window(void **state)
{
    static const struct {
        int64_t lifetime_s, after_s;
    } cases[] = {
        { 90 * DAY, 60 * DAY },
        { 6 * DAY, 4 * DAY },
        { 100, 66 },
        { 101, 67 },
        { 1, 0 },
        { 3, 2 },
    };
    uint8_t digest[32];

    (void)state;
    digest_of(0x55, digest);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct issue_validity v = { START, START + cases[i].lifetime_s };
        struct issue_due due = issue_due_compute(&v, digest, NULL);

        assert_int_equal(due.by, ISSUE_DUE_BY_LIFETIME);
        assert_int_equal(due.at_s, START + cases[i].after_s);
    }
}

static void test_the_instant_lies_in_the_window(void **state)
{
    const struct issue_window w = { START + 59 * DAY, START + 61 * DAY };
    uint8_t digest[32];

    (void)state;
    for (unsigned octet = 0; octet < 256; octet++) {
        struct issue_due due;

        digest_of((uint8_t)octet, digest);
        due = issue_due_compute(&ninety, digest, &w);
        assert_int_equal(due.by, ISSUE_DUE_BY_CA);
        assert_true(due.at_s >= w.start_s && due.at_s < w.end_s);
    }
}

/* Repeated runs agree, and different certificates do not. */
static void test_the_certificate_picks_the_instant(void **state)
{
    const struct issue_window w = { START + 59 * DAY, START + 61 * DAY };
    uint8_t digest[32];

    (void)state;
    digest_of(0, digest);
    assert_int_equal(issue_due_compute(&ninety, digest, &w).at_s, w.start_s);
    digest[0] = 0x80;
    assert_int_equal(issue_due_compute(&ninety, digest, &w).at_s,
                     START + 60 * DAY);
    digest[0] = 0x40;
    assert_int_equal(issue_due_compute(&ninety, digest, &w).at_s,
                     START + 59 * DAY + DAY / 2);
}

static void test_a_window_of_no_use_is_not_followed(void **state)
{
    static const struct issue_window cases[] = {
        { 0, 0 },
        { START, START },
        { START + DAY, START },
        { START + 90 * DAY, START + 91 * DAY },
        { START + 900 * DAY, START + 901 * DAY },
        { -DAY, START },
        { 1, INT64_MAX },
    };
    uint8_t digest[32];

    (void)state;
    digest_of(0xaa, digest);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct issue_due due = issue_due_compute(&ninety, digest, &cases[i]);

        if (due.by != ISSUE_DUE_BY_LIFETIME || due.at_s != START + 60 * DAY)
            fail_msg("window %zu: %lld", i, (long long)due.at_s);
    }
}

static void test_never_after_the_certificate_has_expired(void **state)
{
    const struct issue_window w = { START + 89 * DAY, START + 300 * DAY };
    uint8_t digest[32];

    (void)state;
    digest_of(0xff, digest);
    assert_true(issue_due_compute(&ninety, digest, &w).at_s <
                ninety.not_after_s);
}

/* A revoked one's window has passed. */
static void test_a_window_in_the_past_is_followed(void **state)
{
    const struct issue_window w = { START - 2 * DAY, START - DAY };
    uint8_t digest[32];

    (void)state;
    digest_of(0xff, digest);
    assert_true(issue_due_compute(&ninety, digest, &w).at_s < START - DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_thirds_without_a_window),
        cmocka_unit_test(test_the_instant_lies_in_the_window),
        cmocka_unit_test(test_the_certificate_picks_the_instant),
        cmocka_unit_test(test_a_window_of_no_use_is_not_followed),
        cmocka_unit_test(test_never_after_the_certificate_has_expired),
        cmocka_unit_test(test_a_window_in_the_past_is_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
