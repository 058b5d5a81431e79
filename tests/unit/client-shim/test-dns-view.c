/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NAME "_v.example.test"

static struct dns_rr cname(const char *owner, const char *name)
{
    return (
        struct dns_rr){ .type = DNS_TYPE_CNAME, .owner = owner, .name = name };
}

static struct dns_rr txt(const char *owner, const char *text)
{
    return (struct dns_rr){ .type = DNS_TYPE_TXT,
                            .ttl_s = 300,
                            .owner = owner,
                            .text = bytes_from_str(text) };
}

static struct dns_rr ns(const char *owner)
{
    return (struct dns_rr){ .type = DNS_TYPE_NS,
                            .authority = true,
                            .owner = owner,
                            .name = "ns.test" };
}

static const struct dns_rr soa = { .type = DNS_TYPE_SOA,
                                   .authority = true,
                                   .owner = "example.test",
                                   .name = "ns.test",
                                   .number = 77 };

/* The answer has up to three records, of which the first without a type ends
 * the list. */
struct test_case {
    const char *what;
    unsigned rcode;
    bool not_authoritative;
    struct dns_rr rrs[4];
    enum dns_status status;
    const char *target; /* or NULL */
    const char *end;
    size_t n_values;
    uint32_t ttl_s;
};

static void check(const struct test_case *c, bool resolver)
{
    struct dns_rr rrs[ARRAY_LEN(c->rrs)];
    struct dns_answer a = { .status = DNS_OK,
                            .rcode = c->rcode,
                            .authoritative = !c->not_authoritative,
                            .rrs = rrs };
    struct dns_view v = { .resolver = resolver,
                          .name = strdup(NAME),
                          .zone = resolver ? NULL : strdup("example.test") };

    memcpy(rrs, c->rrs, sizeof(rrs));
    while (a.n_rrs < ARRAY_LEN(rrs) && rrs[a.n_rrs].type)
        a.n_rrs++;
    print_message("%s\n", c->what);
    assert_int_equal(dns_view_fill(&v, &a, DNS_TYPE_TXT), 0);
    assert_string_equal(dns_status_code(v.status), dns_status_code(c->status));
    assert_string_equal(v.target ? v.target : "", c->target ? c->target : "");
    assert_string_equal(dns_view_end(&v), c->end ? c->end : NAME);
    assert_int_equal(v.n_values, c->n_values);
    assert_int_equal(v.ttl_s, c->ttl_s);
    dns_view_deinit(&v);
}

static void test_what_an_authoritative_answer_says(void **state)
{
    const struct test_case cases[] = {
        { .what = "two values",
          .rrs = { txt(NAME, "a"), txt(NAME, "b") },
          .status = DNS_OK,
          .n_values = 2,
          .ttl_s = 300 },
        { .what = "another name's value is not ours",
          .rrs = { txt("other.example.test", "a"), soa },
          .status = DNS_NODATA,
          .ttl_s = 77 },
        { .what = "nodata", .rrs = { soa }, .status = DNS_NODATA, .ttl_s = 77 },
        { .what = "nxdomain",
          .rcode = 3,
          .rrs = { soa },
          .status = DNS_NXDOMAIN,
          .ttl_s = 77 },
        { .what = "servfail", .rcode = 2, .status = DNS_SERVFAIL },
        { .what = "refused", .rcode = 5, .status = DNS_REFUSED },
        { .what = "another error", .rcode = 4, .status = DNS_RCODE },
        { .what = "not authoritative, with a value",
          .not_authoritative = true,
          .rrs = { txt(NAME, "a") },
          .status = DNS_LAME },
        { .what = "a referral upwards",
          .not_authoritative = true,
          .rrs = { ns("test") },
          .status = DNS_LAME },
        { .what = "a referral downwards",
          .not_authoritative = true,
          .rrs = { ns(NAME) },
          .status = DNS_DELEGATED,
          .target = NAME },
        { .what = "a referral beside the name",
          .not_authoritative = true,
          .rrs = { ns("other.example.test") },
          .status = DNS_LAME },
        { .what = "a CNAME within the zone",
          .rrs = { cname(NAME, "x.example.test"), txt("x.example.test", "a") },
          .status = DNS_OK,
          .end = "x.example.test",
          .n_values = 1,
          .ttl_s = 300 },
        { .what = "a CNAME within the zone to nothing",
          .rcode = 3,
          .rrs = { cname(NAME, "x.example.test"), soa },
          .status = DNS_NXDOMAIN,
          .end = "x.example.test",
          .ttl_s = 77 },
        { .what = "a CNAME out of the zone: what else is there is not its word",
          .rrs = { cname(NAME, "x.other.test"), txt("x.other.test", "a") },
          .status = DNS_ALIAS,
          .target = "x.other.test" },
        { .what = "a CNAME into a delegation",
          .rrs = { cname(NAME, "x.sub.example.test"), ns("sub.example.test") },
          .status = DNS_DELEGATED,
          .target = "sub.example.test",
          .end = "x.sub.example.test" },
        { .what = "a circle",
          .rrs = { cname(NAME, "x.example.test"),
                   cname("x.example.test", NAME) },
          .status = DNS_LOOP,
          .end = "x.example.test" },
        { .what = "the zone's own NS beside nothing",
          .rrs = { ns("example.test") },
          .status = DNS_NODATA },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(&cases[i], false);
}

static void test_what_a_resolver_says(void **state)
{
    const struct test_case cases[] = {
        { .what = "not authoritative, of course",
          .not_authoritative = true,
          .rrs = { txt(NAME, "a") },
          .status = DNS_OK,
          .n_values = 1,
          .ttl_s = 300 },
        { .what = "all CNAMEs at once",
          .not_authoritative = true,
          .rrs = { cname(NAME, "x.other.test"), txt("x.other.test", "a") },
          .status = DNS_OK,
          .end = "x.other.test",
          .n_values = 1,
          .ttl_s = 300 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(&cases[i], true);
}

static void test_failures_stay_what_they_are(void **state)
{
    (void)state;
    for (enum dns_status s = DNS_OK + 1; s < DNS_STATUS_COUNT; s++) {
        const struct dns_answer a = { .status = s, .text = "why" };
        struct dns_view v = { .name = strdup(NAME), .zone = strdup("test") };

        assert_int_equal(dns_view_fill(&v, &a, DNS_TYPE_TXT), 0);
        assert_int_equal(v.status, s);
        assert_string_equal(v.text, "why");
        assert_int_equal(v.security, DNS_SECURITY_UNKNOWN);
        dns_view_deinit(&v);
    }
}

static void test_only_a_resolver_validates(void **state)
{
    static const struct {
        bool resolver, ad, is_signed, local;
        enum dns_security want;
    } cases[] = {
        { true, true, true, true, DNS_SECURITY_VALIDATED },
        { true, true, true, false, DNS_SECURITY_AD_UNTRUSTED },
        { true, false, true, true, DNS_SECURITY_SIGNED },
        { true, false, false, true, DNS_SECURITY_UNSIGNED },
        { false, true, true, true, DNS_SECURITY_SIGNED },
        { false, false, false, true, DNS_SECURITY_UNSIGNED },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct dns_answer a = { .status = DNS_OK,
                                      .authoritative = true,
                                      .authenticated = cases[i].ad,
                                      .local = cases[i].local,
                                      .is_signed = cases[i].is_signed };
        struct dns_view v = { .resolver = cases[i].resolver,
                              .name = strdup(NAME),
                              .zone = strdup("test") };

        assert_int_equal(dns_view_fill(&v, &a, DNS_TYPE_TXT), 0);
        assert_int_equal(v.security, cases[i].want);
        dns_view_deinit(&v);
    }
}

static struct dns_view view(enum dns_status status, struct dns_value *values,
                            size_t n)
{
    return (
        struct dns_view){ .status = status, .values = values, .n_values = n };
}

static void test_agreement(void **state)
{
    struct dns_value a[] = { { .text = { (uint8_t *)(uintptr_t) "a", 1, 2 } },
                             { .text = { (uint8_t *)(uintptr_t) "b", 1, 2 } } };
    struct dns_value b[] = { a[1], a[0] };
    const struct {
        struct dns_view views[2];
        enum dns_agreement want;
    } cases[] = {
        { { view(DNS_OK, a, 2), view(DNS_OK, b, 2) }, DNS_AGREE },
        { { view(DNS_OK, a, 2), view(DNS_OK, b, 1) }, DNS_DISAGREE },
        { { view(DNS_OK, a, 1), view(DNS_NXDOMAIN, NULL, 0) }, DNS_DISAGREE },
        { { view(DNS_NODATA, NULL, 0), view(DNS_NXDOMAIN, NULL, 0) },
          DNS_AGREE },
        { { view(DNS_OK, a, 1), view(DNS_TIMEOUT, NULL, 0) }, DNS_PARTLY },
        { { view(DNS_LAME, NULL, 0), view(DNS_TIMEOUT, NULL, 0) }, DNS_NOBODY },
        { { view(DNS_ALIAS, NULL, 0), view(DNS_OK, a, 1) }, DNS_AGREE },
        { { view(DNS_ALIAS, NULL, 0), view(DNS_ALIAS, NULL, 0) }, DNS_NOBODY },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dns_view views[2] = { cases[i].views[0], cases[i].views[1] };
        const struct dns_result r = { .views = views, .n_views = 2 };

        assert_int_equal(dns_result_agreement(&r), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_an_authoritative_answer_says),
        cmocka_unit_test(test_what_a_resolver_says),
        cmocka_unit_test(test_failures_stay_what_they_are),
        cmocka_unit_test(test_only_a_resolver_validates),
        cmocka_unit_test(test_agreement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
