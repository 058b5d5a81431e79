/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/dns-name.h"

#define L63 "a23456789012345678901234567890123456789012345678901234567890123"
#define L61 "a234567890123456789012345678901234567890123456789012345678901"

struct name_case {
    const char *name;
    bool good;
    const char *why;
};

static void check_names(const struct name_case *cases, size_t n, bool wildcard)
{
    for (size_t i = 0; i < n; i++) {
        struct refusal refusal = { 0 };
        int r = dns_name_check(B(cases[i].name), wildcard, &refusal);

        assert_outcome(outcome(r, &refusal),
                       cases[i].good ? NULL : "bad-dns-name", cases[i].name);
    }
}

static void test_names_in_the_one_form(void **state)
{
    static const struct name_case cases[] = {
        { "example.com", true, "" },
        { "a.b", true, "" },
        { "1.example.com", true, "digits first" },
        { "3com.com", true, "" },
        { "a-b.c--d.example.com", true, "hyphens inside, c--d: 2nd and 3rd" },
        { "xn--bcher-kva.example", true, "A-label" },
        { "example.xn--p1ai", true, "A-label last" },
        { "example.c0m", true, "" },
        { L63 ".com", true, "label of 63" },
        { L63 "." L63 "." L63 "." L61, true, "253" },
        { "", false, "empty" },
        { ".", false, "root" },
        { "com", false, "one label" },
        { "localhost", false, "one label" },
        { "example.com.", false, "trailing dot" },
        { ".example.com", false, "leading dot" },
        { "a..b", false, "empty label" },
        { "Example.com", false, "upper case" },
        { "a_b.example.com", false, "underscore" },
        { "a b.example.com", false, "space" },
        { "b\xc3\xbc"
          "cher.example.com",
          false, "U-label" },
        { "a.*.example.com", false, "star inside" },
        { "*.example.com", false, "wildcard not asked for" },
        { "-a.example.com", false, "first hyphen" },
        { "a-.example.com", false, "last hyphen" },
        { "a." L63 "4.com", false, "label of 64" },
        { L63 "." L63 "." L63 "." L61 "2", false, "254" },
        { "192.0.2.1", false, "address" },
        { "example.123", false, "last label all digits" },
        { "ab--cd.example.com", false, "reserved hyphens" },
        { "xn--.example.com", false, "nothing encoded" },
        { "xn--a.example.com", false, "decodes to nothing allowed" },
        { "xn--bcher-kvb.example.com", false, "another spelling" },
        { "xn--ls8h.example.com", false, "no letter (IDNA2008)" },
        { "xn--0ca24w.example.com", false, "mixed directions" },
        { "xn--999999999999.example.com", false, "no punycode" },
        { "example.com/", false, "slash" },
        { "example.com:443", false, "port" },
        { "user@example.com", false, "mail address" },
    };

    (void)state;
    check_names(cases, ARRAY_LEN(cases), false);
}

static void test_one_leading_star(void **state)
{
    static const struct name_case cases[] = {
        { "*.example.com", true, "" },
        { "example.com", true, "" },
        { "*.xn--bcher-kva.example", true, "" },
        { "*", false, "" },
        { "*.", false, "" },
        { "*.com", false, "one label under the star" },
        { "*.*.example.com", false, "two stars" },
        { "a.*.example.com", false, "star inside" },
        { "**.example.com", false, "" },
        { "a*.example.com", false, "partial" },
        { "*a.example.com", false, "partial" },
        { "*example.com", false, "no dot" },
        { "*.192.0.2.1", false, "address" },
        { "*." L63 "." L63 "." L63 "." L61, false, "255 with the star" },
    };

    (void)state;
    check_names(cases, ARRAY_LEN(cases), true);
}

static void test_a_nul_is_refused(void **state)
{
    struct bytes name = { (const uint8_t *)"example.com\0.evil.net", 21 };
    struct refusal refusal = { 0 };

    (void)state;
    assert_outcome(outcome(dns_name_check(name, false, &refusal), &refusal),
                   "bad-dns-name", "NUL");
    name.len = 12;
    assert_outcome(outcome(dns_name_check(name, false, &refusal), &refusal),
                   "bad-dns-name", "NUL at the end");
}

static void test_addresses_in_canonical_text(void **state)
{
    static const struct {
        const char *text;
        size_t len; /* 0: refused */
    } cases[] = {
        { "192.0.2.1", 4 },
        { "0.0.0.0", 4 },
        { "255.255.255.255", 4 },
        { "::", 16 },
        { "::1", 16 },
        { "2001:db8::1", 16 },
        { "2001:db8:0:1:1:1:1:1", 16 },
        { "2001:db8::1:0:0:1", 16 },
        { "1:2:3:4:5:6:7:8", 16 },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 16 },
        { "64:ff9b::c000:201", 16 },
        { "", 0 },
        { "192.0.2", 0 },
        { "192.0.2.256", 0 },
        { "192.0.2.01", 0 },
        { "192.0.2.1 ", 0 },
        { "0xc0.0.2.1", 0 },
        { "3221225985", 0 },
        { "192.0.2.1/32", 0 },
        { "2001:DB8::1", 0 },
        { "2001:0db8::1", 0 },
        { "2001:db8:0:0:0:0:0:1", 0 },
        { "2001:db8:0:0:1::1", 0 },
        { "2001:db8::1:1:1:1:1", 0 },
        { "2001:db8::1%eth0", 0 },
        { "[2001:db8::1]", 0 },
        { "::ffff:192.0.2.1", 0 },
        { "::ffff:c000:201", 0 },
        { "::192.0.2.1", 0 },
        { "64:ff9b::192.0.2.1", 0 },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0 },
        { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2551", 0 },
        { "example.com", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal refusal = { 0 };
        uint8_t addr[16];
        size_t len = 0;
        int r = ip_text_check(B(cases[i].text), addr, &len, &refusal);

        assert_outcome(outcome(r, &refusal),
                       cases[i].len ? NULL : "bad-address", cases[i].text);
        assert_int_equal(len, cases[i].len);
    }
}

static void test_a_nul_in_an_address_is_refused(void **state)
{
    struct bytes text = { (const uint8_t *)"192.0.2.1\0", 10 };
    struct refusal refusal = { 0 };
    uint8_t addr[16];
    size_t len;

    (void)state;
    assert_outcome(outcome(ip_text_check(text, addr, &len, &refusal), &refusal),
                   "bad-address", "NUL");
}

static void test_no_text_is_too_long_to_be_refused(void **state)
{
    static char text[64 * 1024];
    struct refusal refusal = { 0 };
    uint8_t addr[16];
    size_t len;

    (void)state;
    memset(text, '1', sizeof(text) - 1);
    assert_outcome(
        outcome(ip_text_check(B(text), addr, &len, &refusal), &refusal),
        "bad-address", "64 KiB");
    assert_outcome(outcome(dns_name_check(B(text), true, &refusal), &refusal),
                   "bad-dns-name", "64 KiB");
}

static void test_addresses_come_as_octets(void **state)
{
    static const uint8_t want6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
    static const uint8_t want4[4] = { 192, 0, 2, 1 };
    struct refusal refusal = { 0 };
    uint8_t addr[16];
    size_t len;

    (void)state;
    assert_int_equal(ip_text_check(B("2001:db8::1"), addr, &len, &refusal), 0);
    assert_memory_equal(addr, want6, 16);
    assert_int_equal(ip_text_check(B("192.0.2.1"), addr, &len, &refusal), 0);
    assert_memory_equal(addr, want4, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_in_the_one_form),
        cmocka_unit_test(test_one_leading_star),
        cmocka_unit_test(test_a_nul_is_refused),
        cmocka_unit_test(test_addresses_in_canonical_text),
        cmocka_unit_test(test_a_nul_in_an_address_is_refused),
        cmocka_unit_test(test_no_text_is_too_long_to_be_refused),
        cmocka_unit_test(test_addresses_come_as_octets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
