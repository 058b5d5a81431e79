/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "acme/dns-name.h"

static void test_ranges_have_what_is_in_them(void **state)
{
    static const struct {
        const char *range;
        const char *addr;
        bool has;
    } cases[] = {
        { "192.0.2.0/24", "192.0.2.0", true },
        { "192.0.2.0/24", "192.0.2.255", true },
        { "192.0.2.0/24", "192.0.3.0", false },
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "192.0.2.1/32", "192.0.2.0", false },
        { "192.0.2.128/25", "192.0.2.128", true },
        { "192.0.2.128/25", "192.0.2.127", false },
        { "10.0.0.0/8", "10.255.1.2", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "0.0.0.0/0", "198.51.100.7", true },
        { "2001:db8::/32", "2001:db8:ffff::1", true },
        { "2001:db8::/32", "2001:db9::1", false },
        { "2001:db8::/33", "2001:db8:7fff::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
        { "2001:db8::1", "2001:db8::1", true },
        { "2001:db8::1", "2001:db8::2", false },
        { "::/0", "2001:db8::1", true },
        /* never across the families */
        { "::/0", "192.0.2.1", false },
        { "0.0.0.0/0", "::", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address_range range = { 0 };
        uint8_t addr[16] = { 0 };
        size_t len = 0;

        assert_int_equal(address_range_read(cases[i].range, &range, NULL), 0);
        assert_int_equal(
            ip_text_check(bytes_from_str(cases[i].addr), addr, &len, NULL), 0);
        if (address_range_has(&range, addr, len) != cases[i].has)
            fail_msg("%s in %s: not %d", cases[i].addr, cases[i].range,
                     cases[i].has);
    }
}

static void test_one_spelling_only(void **state)
{
    static const char *const bad[] = {
        "",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/024",
        "192.0.2.0/24x",
        "192.0.2.0/+24",
        "192.0.2.0/1000",
        "192.0.2.0/24/24",
        "192.0.2.1/24",
        "192.0.2.0/22",
        "192.0.2.64/25",
        "192.0.2",
        "192.0.02.1",
        "1.0.0.0/0",
        "2001:db8::/129",
        "2001:db8::1/64",
        "2001:DB8::/32",
        "2001:db8:0::/48",
        "example.com",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct address_range range = { .prefix = 7 };
        struct refusal why = { 0 };

        if (address_range_read(bad[i], &range, &why) != REFUSED)
            fail_msg("%s is taken", bad[i]);
        assert_int_equal(why.reason, REASON_BAD_ADDRESS);
        assert_int_equal(range.prefix, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_have_what_is_in_them),
        cmocka_unit_test(test_one_spelling_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
