/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/reason.h"

static void test_every_code_parses_to_its_reason(void **state)
{
    (void)state;
    for (unsigned i = 1; i < REASON_COUNT; i++)
        assert_int_equal(reason_parse(reason_code((enum reason)i)), i);
}

static void test_every_code_is_kebab_case(void **state)
{
    (void)state;
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        const char *code = reason_code((enum reason)i);

        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-"),
                         strlen(code));
        assert_int_not_equal(reason_kind((enum reason)i), REASON_KIND_UNSET);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(reason_kind(REASON_BAD_JSON), REASON_KIND_MALFORMED);
    assert_int_equal(reason_kind(REASON_GUARDIAN_ONLY), REASON_KIND_DENIED);
    assert_int_equal(reason_kind(REASON_SUSPENDED), REASON_KIND_STATE);
    assert_int_equal(reason_kind(REASON_UNSET), REASON_KIND_UNSET);
    assert_int_equal(reason_kind((enum reason)4711), REASON_KIND_UNSET);
}

static void test_unknown_codes_are_unset(void **state)
{
    (void)state;
    assert_int_equal(reason_parse("no-such-code"), REASON_UNSET);
    assert_int_equal(reason_parse("unset"), REASON_UNSET);
    assert_int_equal(reason_parse(""), REASON_UNSET);
    assert_string_equal(reason_code((enum reason)4711), "unset");
}

static void test_refuse_fills_in_all(void **state)
{
    struct refusal r;

    (void)state;
    memset(&r, 0xff, sizeof(r));
    assert_int_equal(refuse_at(&r, REASON_BAD_JSON, 7, "at %d", 5), REFUSED);
    assert_int_equal(r.reason, REASON_BAD_JSON);
    assert_int_equal(r.offset, 7);
    assert_string_equal(r.detail, "at 5");

    assert_int_equal(refuse(&r, REASON_BAD_URL, "%s", "x"), REFUSED);
    assert_int_equal(r.reason, REASON_BAD_URL);
    assert_int_equal(r.offset, 0);
    assert_string_equal(r.detail, "x");
}

static void test_refuse_takes_null(void **state)
{
    (void)state;
    assert_int_equal(refuse(NULL, REASON_BAD_JSON, "x"), REFUSED);
}

static void test_detail_is_printable_and_bounded(void **state)
{
    char longer[2 * REFUSAL_DETAIL_MAX];
    struct refusal r;

    (void)state;
    assert_int_equal(refuse(&r, REASON_BAD_JSON, "a\nb\x1b\x7f\xc3\xbc"),
                     REFUSED);
    assert_string_equal(r.detail, "a?b????");

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    assert_int_equal(refuse(&r, REASON_BAD_JSON, "%s", longer), REFUSED);
    assert_int_equal(strlen(r.detail), REFUSAL_DETAIL_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_parses_to_its_reason),
        cmocka_unit_test(test_every_code_is_kebab_case),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_unknown_codes_are_unset),
        cmocka_unit_test(test_refuse_fills_in_all),
        cmocka_unit_test(test_refuse_takes_null),
        cmocka_unit_test(test_detail_is_printable_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
