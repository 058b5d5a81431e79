/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static void test_addresses_with_and_without_a_port(void **state)
{
    static const struct {
        const char *text, *formatted;
        unsigned family, port;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1", AF_INET, 53 },
        { "192.0.2.1:53", "192.0.2.1", AF_INET, 53 },
        { "192.0.2.1:5353", "192.0.2.1:5353", AF_INET, 5353 },
        { "192.0.2.1:65535", "192.0.2.1:65535", AF_INET, 65535 },
        { "2001:db8::1", "2001:db8::1", AF_INET6, 53 },
        { "2001:db8::", "2001:db8::", AF_INET6, 53 },
        { "::1", "::1", AF_INET6, 53 },
        { "[::1]", "::1", AF_INET6, 53 },
        { "[2001:db8::1]:5353", "[2001:db8::1]:5353", AF_INET6, 5353 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dns_server s = { 0 };
        struct dns_server again = { 0 };
        char text[DNS_SERVER_TEXT_MAX];

        assert_int_equal(dns_server_parse(cases[i].text, &s), 0);
        assert_int_equal(s.family, cases[i].family);
        assert_int_equal(s.port, cases[i].port);
        dns_server_format(&s, text);
        assert_string_equal(text, cases[i].formatted);
        assert_int_equal(dns_server_parse(text, &again), 0);
        assert_true(dns_server_eq(&s, &again));
    }
}

static void test_a_scope_is_part_of_the_address(void **state)
{
    struct dns_server s = { .family = AF_INET6,
                            .port = 53,
                            .addr = { 0xfe, 0x80, [15] = 1 },
                            .scope = 2 };
    struct dns_server other = s;
    char text[DNS_SERVER_TEXT_MAX];

    (void)state;
    dns_server_format(&s, text);
    assert_string_equal(text, "fe80::1%2");
    other.scope = 3;
    assert_false(dns_server_eq(&s, &other));
    memset(s.addr + 2, 0xff, 14);
    s.port = 65535;
    s.scope = UINT32_MAX;
    dns_server_format(&s, text);
    assert_string_equal(
        text, "[fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

static void test_who_is_on_this_host(void **state)
{
    static const struct {
        const char *text;
        bool local;
    } cases[] = {
        { "127.0.0.1", true },    { "127.0.0.53:5353", true },
        { "::1", true },          { "[::1]:5353", true },
        { "192.0.2.127", false }, { "0.0.0.0", false },
        { "::", false },          { "7f00::1", false },
        { "::127.0.0.1", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dns_server s = { 0 };

        assert_int_equal(dns_server_parse(cases[i].text, &s), 0);
        assert_int_equal(dns_server_local(&s), cases[i].local);
    }
    assert_false(dns_server_local(&(struct dns_server){ 0 }));
}

static void test_what_is_no_address(void **state)
{
    static const char *const cases[] = {
        "",
        "ns1.example.net",
        "192.0.2",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:053",
        "192.0.2.1:65536",
        "192.0.2.1:1x",
        "192.0.2.1:-1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[192.0.2.1]:53",
        ":53",
        "192.0.2.1 ",
        "fe80::1%eth0",
        "192.0.2.1:999999",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dns_server s = { .port = 7 };

        assert_int_equal(dns_server_parse(cases[i], &s), DNS_SERVER_E_INVALID);
        assert_int_equal(s.port, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_with_and_without_a_port),
        cmocka_unit_test(test_a_scope_is_part_of_the_address),
        cmocka_unit_test(test_who_is_on_this_host),
        cmocka_unit_test(test_what_is_no_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
