/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/identifiers.h"

static void test_names_and_addresses_are_kept(void **state)
{
    struct identifiers ids = { 0 };
    struct refusal refusal;

    (void)state;
    assert_int_equal(
        identifiers_add(&ids, IDENTIFIER_DNS, B("*.example.com"), &refusal), 0);
    assert_int_equal(
        identifiers_add(&ids, IDENTIFIER_IP, B("2001:db8::1"), &refusal), 0);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.items[0].type, IDENTIFIER_DNS);
    assert_string_equal(ids.items[0].value, "*.example.com");
    assert_int_equal(ids.items[0].addr_len, 0);
    assert_int_equal(ids.items[1].type, IDENTIFIER_IP);
    assert_string_equal(ids.items[1].value, "2001:db8::1");
    assert_int_equal(ids.items[1].addr_len, 16);
    assert_int_equal(ids.items[1].addr[15], 1);

    assert_true(identifiers_has(&ids, IDENTIFIER_DNS, B("*.example.com")));
    assert_false(identifiers_has(&ids, IDENTIFIER_IP, B("*.example.com")));
    assert_false(identifiers_has(&ids, IDENTIFIER_DNS, B("example.com")));
    identifiers_deinit(&ids);
    assert_int_equal(ids.n, 0);
}

static void test_each_kind_has_its_rules(void **state)
{
    static const struct {
        enum identifier_type type;
        const char *value;
        const char *want;
    } cases[] = {
        { IDENTIFIER_DNS, "192.0.2.1", "bad-dns-name" },
        { IDENTIFIER_DNS, "2001:db8::1", "bad-dns-name" },
        { IDENTIFIER_DNS, "", "bad-dns-name" },
        { IDENTIFIER_IP, "example.com", "bad-address" },
        { IDENTIFIER_IP, "", "bad-address" },
    };
    struct identifiers ids = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal refusal = { 0 };
        int r =
            identifiers_add(&ids, cases[i].type, B(cases[i].value), &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].want, cases[i].value);
        assert_int_equal(ids.n, 0);
    }
}

static void test_a_hundred_and_no_more(void **state)
{
    struct identifiers ids = { 0 };
    struct refusal refusal = { 0 };
    char name[32];
    int r;

    (void)state;
    for (int i = 0; i < IDENTIFIERS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example.com", i);
        assert_int_equal(
            identifiers_add(&ids, IDENTIFIER_DNS, B(name), &refusal), 0);
    }
    for (int i = 0; i < IDENTIFIERS_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.example.com", i);
        assert_string_equal(ids.items[i].value, name);
    }
    r = identifiers_add(&ids, IDENTIFIER_DNS, B("one.example.com"), &refusal);
    assert_outcome(outcome(r, &refusal), "too-many-identifiers", "101");
    assert_int_equal(ids.n, IDENTIFIERS_MAX);
    identifiers_deinit(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_addresses_are_kept),
        cmocka_unit_test(test_each_kind_has_its_rules),
        cmocka_unit_test(test_a_hundred_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
