/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/records-list.h"
#include "client-shim/records-values.h"

const struct ctl_command *const ctl_commands[] = { NULL };

static json_t *good(void)
{
    json_t *row = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, "
        "s:I}",
        "account", "le", "domain", "example.com", "owner",
        "_validation-persist.example.com", "issuer", "ca.example", "accounturi",
        "https://ca.example/1", "value", "ca.example; accounturi=...", "form",
        "key-bound", "added", "2026-11-18T11:06:40Z", "wildcard", 1, "reusable",
        0, "expired", 0, "denied", 1, "staging", 1, "persistUntil",
        (json_int_t)1801353600);

    assert_non_null(row);
    return row;
}

static void test_a_value_is_read(void **state)
{
    CLEANUP_CTL_JSON json_t *row = good();
    struct records_value v;

    (void)state;
    assert_true(records_value_read(row, &v));
    assert_string_equal(v.account, "le");
    assert_string_equal(v.owner, "_validation-persist.example.com");
    assert_int_equal(v.until_s, 1801353600);
    assert_true(v.wildcard && v.key_bound && v.staging);
    assert_true(v.denied);
    assert_false(v.reusable || v.expired);
    assert_ptr_equal(v.row, row);

    assert_int_equal(json_object_set_new(row, "persistUntil", json_null()), 0);
    assert_int_equal(json_object_set_new(row, "form", json_string("url")), 0);
    assert_true(records_value_read(row, &v));
    assert_int_equal(v.until_s, 0);
    assert_false(v.key_bound);
}

static void test_a_record_is_read(void **state)
{
    CLEANUP_CTL_JSON json_t *row = good();
    struct records_record r;

    (void)state;
    assert_true(records_record_read(row, &r));
    assert_string_equal(r.domain, "example.com");
    assert_int_equal(r.until_s, 1801353600);
    assert_true(r.wildcard);
    assert_int_equal(json_object_del(row, "persistUntil"), 0);
    assert_true(records_record_read(row, &r));
    assert_int_equal(r.until_s, 0);
}

static void test_what_lacks_something_is_not(void **state)
{
    static const char *const members[] = { "account",   "domain", "owner",
                                           "issuer",    "value",  "form",
                                           "accounturi" };
    struct records_value v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        CLEANUP_CTL_JSON json_t *row = good();

        print_message("%s\n", members[i]);
        assert_int_equal(json_object_set_new(row, members[i], json_true()), 0);
        assert_false(records_value_read(row, &v));
        assert_int_equal(json_object_del(row, members[i]), 0);
        assert_false(records_value_read(row, &v));
    }
}

static void test_odd_times_and_forms_are_not(void **state)
{
    static const char *const untils[] = { "0", "-1", "\"1801353600\"", "1.5" };
    struct records_record r;
    struct records_value v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(untils); i++) {
        CLEANUP_CTL_JSON json_t *row = good();

        print_message("%s\n", untils[i]);
        assert_int_equal(
            json_object_set_new(row, "persistUntil",
                                json_loads(untils[i], JSON_DECODE_ANY, NULL)),
            0);
        assert_false(records_value_read(row, &v));
        assert_false(records_record_read(row, &r));
    }
    {
        CLEANUP_CTL_JSON json_t *row = good();

        assert_int_equal(json_object_set_new(row, "form", json_string("hash")),
                         0);
        assert_false(records_value_read(row, &v));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_is_read),
        cmocka_unit_test(test_a_record_is_read),
        cmocka_unit_test(test_what_lacks_something_is_not),
        cmocka_unit_test(test_odd_times_and_forms_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
