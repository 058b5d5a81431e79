/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/domain.h"

#define L63 "a23456789012345678901234567890123456789012345678901234567890123"
#define L61 "a234567890123456789012345678901234567890123456789012345678901"

static void test_one_form_for_each_name(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "example.com", "example.com" },
        { "EXAMPLE.com.", "example.com" },
        { "1.Example.COM", "1.example.com" },
        { "B\xc3\xbc"
          "cher.de.",
          "xn--bcher-kva.de" },
        { "B\xc3\x9c"
          "CHER.DE",
          "xn--bcher-kva.de" },
        { "BU\xcc\x88"
          "CHER.de", /* decomposed */
          "xn--bcher-kva.de" },
        { "xn--bcher-kva.de", "xn--bcher-kva.de" },
        { "XN--BCHER-KVA.DE.", "xn--bcher-kva.de" },
        /* the deviations of IDNA2003 are names of their own */
        { "fa\xc3\x9f.de", "xn--fa-hia.de" },
        { "fass.de", "fass.de" },
        { "\xcf\x82.gr", "xn--3xa.gr" },
        { "\xce\xa3.gr", "xn--4xa.gr" },
        /* a joiner where its neighbours want it */
        { "\xd9\x86\xd8\xa7\xd9\x85\xd9\x87\xe2\x80\x8c\xd8\xa7\xdb\x8c.com",
          "xn--mgba3gch31f060k.com" },
        { "l\xc2\xb7l.cat", "xn--ll-0ea.cat" },
        { "a.\xd1\x80\xd1\x84", "a.xn--p1ai" },
        { L63 "." L63 "." L63 "." L61 ".", L63 "." L63 "." L63 "." L61 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[DNS_NAME_MAX + 1] = "";
        char again[DNS_NAME_MAX + 1] = "";
        struct refusal why = { 0 };
        int r = domain_normalize(B(cases[i].text), got, &why);

        assert_outcome(outcome(r, &why), NULL, cases[i].text);
        assert_string_equal(got, cases[i].want);
        assert_int_equal(domain_normalize(B(got), again, &why), 0);
        assert_string_equal(again, got);
    }
}

static void test_refused(void **state)
{
    static char long_text[1200];
    static const struct {
        const char *text, *detail;
    } cases[] = {
        { "", "empty label" },
        { ".", "empty label" },
        { "..", "empty label" },
        { ".example.com", "empty label" },
        { "example.com..", "empty label" },
        { "example..com", "empty label" },
        { "com", "one label" },
        { "com.", "one label" },
        { "b\xc3\xbc"
          "cher",
          "one label" },
        { "*.example.com", "give the name below the star" },
        { "*.", "give the name below the star" },
        { "*", "character 0x2a" },
        { "a.*.example.com", "character 0x2a" },
        { "192.0.2.1", "last label is a number" },
        { "m\xc3\xbcnchen.123", "last label is a number" },
        { "a_b.example.com", "character 0x5f" },
        { "a_\xc3\xbc.example.com", "character 0x5f" },
        { " example.com", "character 0x20" },
        { "example.com\n", "character 0x0a" },
        { "https://example.com/", "character 0x3a" },
        { "ab--cd.example.com", "A-label" },
        { "-a.example.com", "first hyphen" },
        { "a-.\xc3\xbc.com", "hyphen" },
        { "xn--bcher-kvb.de", "" },
        { "xn--a.de", "" },
        { "\xe2\x98\x83.com", "disallowed" },    /* a snowman */
        { "\xf0\x9f\x92\xa9.la", "disallowed" }, /* emoji */
        { "a\xe2\x80\x8c"
          "b.com",
          "context-j" },
        { "\xcc\x81"
          "a.com",
          "combining" },
        { "b\xff"
          "cher.de",
          "encoding" },
        { "b\xc3.de", "encoding" },
        { "\xc0\xaf.de", "encoding" },     /* overlong */
        { "\xed\xa0\x80.de", "encoding" }, /* a surrogate */
        /* what would turn into plain ASCII */
        { "ex\xc2\xad"
          "ample.com",
          "stands for \"\"" },
        { "\xe2\x92\xbc"
          "oogle.com",
          "stands for \"g\"" },
        { "\xef\xac\x81.com", "stands for \"fi\"" },
        { "\xef\xbd\x81.com", "stands for \"a\"" },
        { "my\xef\xbc\x8d"
          "bank.com",
          "stands for \"-\"" },
        { "my\xef\xb9\xa3"
          "bank.com",
          "stands for \"-\"" },
        { "b\xc3\xbc"
          "cher\xe3\x80\x82"
          "de",
          "stands for \".\"" },
        { L63 "4.com", "label of 64" },
        { L63 "." L63 "." L63 "." L61 "2", "254 characters" },
        { long_text, "1199 octets" },
    };

    (void)state;
    memset(long_text, 'a', sizeof(long_text) - 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[DNS_NAME_MAX + 1] = "unchanged";
        struct refusal why = { 0 };
        int r = domain_normalize(B(cases[i].text), got, &why);

        assert_outcome(outcome(r, &why), "bad-dns-name", cases[i].text);
        if (!strstr(why.detail, cases[i].detail))
            fail_msg("%s: %s, want %s", cases[i].text, why.detail,
                     cases[i].detail);
        assert_string_equal(got, "unchanged");
    }
}

/* With older tables than libidn2 2.3.8's it would become "ss". */
static void test_the_capital_sharp_s_is_never_ss(void **state)
{
    char got[DNS_NAME_MAX + 1] = "";
    struct refusal why = { 0 };
    int r = domain_normalize(B("fa\xe1\xba\x9e.de"), got, &why);

    (void)state;
    if (r == 0) {
        assert_string_equal(got, "xn--fa-hia.de");
        return;
    }
    assert_outcome(outcome(r, &why), "bad-dns-name", "capital sharp s");
    assert_non_null(strstr(why.detail, "stands for \"ss\""));
}

static void test_a_nul_is_refused(void **state)
{
    const struct bytes cases[] = {
        { (const uint8_t *)"example.com\0.evil.example", 25 },
        { (const uint8_t *)"example.com\0", 12 },
        { (const uint8_t *)"b\xc3\xbc"
                           "cher.de\0.evil.example",
          22 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[DNS_NAME_MAX + 1];
        struct refusal why = { 0 };

        assert_outcome(outcome(domain_normalize(cases[i], got, &why), &why),
                       "bad-dns-name", "NUL");
    }
}

static void test_nothing_at_all_is_refused(void **state)
{
    char got[DNS_NAME_MAX + 1];
    struct refusal why = { 0 };

    (void)state;
    assert_outcome(
        outcome(domain_normalize((struct bytes){ 0 }, got, &why), &why),
        "bad-dns-name", "NULL");
    assert_int_equal(domain_normalize(B("com"), got, NULL), REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_form_for_each_name),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_the_capital_sharp_s_is_never_ss),
        cmocka_unit_test(test_a_nul_is_refused),
        cmocka_unit_test(test_nothing_at_all_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
