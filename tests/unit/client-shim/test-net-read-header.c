/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net-read-support.h"

#define NOW_S 1793491200 /* 2026-11-01T00:00:00Z, a Sunday */

static void test_retry_after_is_seconds_or_a_date_and_bounded(void **state)
{
    static const struct {
        const char *value;
        uint32_t s;
    } cases[] = {
        { "0", 0 },
        { "1", 1 },
        { "120", 120 },
        { "604800", NET_RETRY_MAX_S },
        { "604801", NET_RETRY_MAX_S },
        { "99999999999999999999999999999999", NET_RETRY_MAX_S },
        { "Sun, 01 Nov 2026 00:01:00 GMT", 60 },
        { "Sat, 31 Oct 2026 23:59:00 GMT", 0 },
        { "Sun, 01 Nov 2076 00:01:00 GMT", NET_RETRY_MAX_S },
        { "-1", 0 },
        { "1.5", 0 },
        { "", 0 },
        { "soon", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t s = net_read_retry_after(cases[i].value, NOW_S);

        if (s != cases[i].s)
            fail_msg("%s: %u", cases[i].value, s);
    }
}

static void test_a_date_is_seconds_or_none(void **state)
{
    (void)state;
    assert_int_equal(net_read_date("Sun, 01 Nov 2026 00:00:00 GMT"), NOW_S);
    assert_int_equal(net_read_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    assert_int_equal(net_read_date("yesterday"), 0);
    assert_int_equal(net_read_date(""), 0);
}

struct links {
    struct buf seen;
    unsigned n, max;
};

static bool add_link(struct bytes url, void *userdata)
{
    struct links *l = userdata;

    assert_int_equal(buf_append(&l->seen, url.data, url.len), 0);
    assert_int_equal(buf_append_char(&l->seen, '|'), 0);
    return ++l->n < l->max;
}

static void test_alternate_links_are_found_among_others(void **state)
{
    static const struct {
        const char *value, *seen;
    } cases[] = {
        { "<https://ca.example/1>;rel=\"alternate\"", "https://ca.example/1|" },
        { "<https://ca.example/1>; rel=alternate", "https://ca.example/1|" },
        { "<a>;rel=\"index\"", "" },
        { "<a>;rel=\"index\", <b>;rel=\"alternate\" , <c>;REL=Alternate",
          "b|c|" },
        { "<a>; title=\"x, <b>;rel=alternate\"; rel=\"up alternate\"", "a|" },
        { "<a>; title=\"\\\"\"; rel=alternate", "a|" },
        { "<a>;rel=up;rel=alternate", "" },
        { "<a>;rel=\"alternates\"", "" },
        { "<a>;rel", "" },
        { "<a>;rel=", "" },
        { "<a>;rel=\"alternate", "a|" },
        { "<a", "" },
        { "a;rel=alternate", "" },
        { "", "" },
        { "<>;rel=alternate, <b>;rel=alternate", "b|" },
        { "<a>;rel=alternate junk, <b>;rel=alternate", "a|" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct links l = { .max = 8 };

        net_read_links(cases[i].value, add_link, &l);
        if (strcmp(buf_str(&l.seen), cases[i].seen) != 0)
            fail_msg("%s: %s", cases[i].value, buf_str(&l.seen));
        buf_deinit(&l.seen);
    }
}

static void test_the_taker_ends_the_links(void **state)
{
    struct links l = { .max = 1 };

    (void)state;
    net_read_links("<a>;rel=alternate, <b>;rel=alternate", add_link, &l);
    assert_string_equal(buf_str(&l.seen), "a|");
    buf_deinit(&l.seen);
}

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static void test_a_certificate_is_copied_as_it_is(void **state)
{
    (void)state;
    read_with(NET_KIND_CERTIFICATE, net_read_certificate, PEM PEM);
    assert_string_equal(answer.certificate.pem, PEM PEM);
    read_with(NET_KIND_CERTIFICATE, net_read_certificate, "<html>");
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
    read_with(NET_KIND_CERTIFICATE, net_read_certificate, "");
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after_is_seconds_or_a_date_and_bounded),
        cmocka_unit_test(test_a_date_is_seconds_or_none),
        cmocka_unit_test(test_alternate_links_are_found_among_others),
        cmocka_unit_test(test_the_taker_ends_the_links),
        cmocka_unit_test(test_a_certificate_is_copied_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
