/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/url.h"

#define L63 "a23456789012345678901234567890123456789012345678901234567890123"

struct url_case {
    const char *url;
    const char *want; /* NULL: good */
};

static void check_urls(const struct url_case *cases, size_t n,
                       const struct url_rules *rules)
{
    for (size_t i = 0; i < n; i++) {
        struct refusal refusal = { 0 };
        struct url url;
        int r = url_read(B(cases[i].url), rules, &url, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].want, cases[i].url);
    }
}

static void test_one_spelling_only(void **state)
{
    static const struct url_case cases[] = {
        { "https://ca.example/", NULL },
        { "https://ca.example/acme/order/1", NULL },
        { "https://ca.example:14000/Dir-x_~.z", NULL },
        { "https://ca.example/a!$&'()*+,=:@b", NULL },
        { "https://ca.example/dir/", NULL },
        { "https://ca.example/.well-known/...", NULL },
        { "https://ca.example:80/", NULL },
        { "https://ca.example:65535/", NULL },
        { "https://localhost/x", NULL },
        { "https://1ca.example/x", NULL },
        { "https://192.0.2.1/x", NULL },
        { "https://[2001:db8::1]/x", NULL },
        { "https://[::1]:14000/x", NULL },
        { "https://" L63 ".example/", NULL },
        /* scheme */
        { "", "url-scheme" },
        { "ca.example/x", "url-scheme" },
        { "/acme/order/1", "url-scheme" },
        { "//ca.example/x", "url-scheme" },
        { "HTTPS://ca.example/x", "url-scheme" },
        { "https:/ca.example/x", "url-scheme" },
        { " https://ca.example/x", "url-scheme" },
        { "ftp://ca.example/x", "url-scheme" },
        { "http://ca.example/x", "url-scheme" },
        { "http://127.0.0.1/x", "url-scheme" },
        /* host */
        { "https://", "bad-url" },
        { "https:///x", "bad-url" },
        { "https://Ca.example/x", "bad-url" },
        { "https://ca.example./x", "bad-url" },
        { "https://.ca.example/x", "bad-url" },
        { "https://ca..example/x", "bad-url" },
        { "https://-ca.example/x", "bad-url" },
        { "https://ca-.example/x", "bad-url" },
        { "https://c_a.example/x", "bad-url" },
        { "https://c%61.example/x", "bad-url" },
        { "https://c\xc3\xa4.example/x", "bad-url" },
        { "https://" L63 "4.example/", "bad-url" },
        { "https://" L63 "." L63 "." L63 "." L63 "/", "bad-url" },
        { "https://user@ca.example/x", "bad-url" },
        { "https://user:pw@ca.example/x", "bad-url" },
        { "https://@ca.example/x", "bad-url" },
        { "https://ca.example\\@evil.net/x", "bad-url" },
        { "https://192.0.2.01/x", "bad-url" },
        { "https://0x7f.1/x", "bad-url" },
        { "https://127.1/x", "bad-url" },
        { "https://127.0.0.0x1/x", "bad-url" },
        { "https://2130706433/x", "bad-url" },
        { "https://[2001:DB8::1]/x", "bad-url" },
        { "https://[2001:db8:0::1]/x", "bad-url" },
        { "https://[::ffff:192.0.2.1]/x", "bad-url" },
        { "https://[192.0.2.1]/x", "bad-url" },
        { "https://[]/x", "bad-url" },
        { "https://[::1/x", "bad-url" },
        { "https://[::1]x/x", "bad-url" },
        { "https://[::1]443/x", "bad-url" },
        { "https://2001:db8::1/x", "bad-url" },
        /* port */
        { "https://ca.example:443/x", "bad-url" },
        { "https://ca.example:/x", "bad-url" },
        { "https://ca.example:0/x", "bad-url" },
        { "https://ca.example:0443/x", "bad-url" },
        { "https://ca.example:65536/x", "bad-url" },
        { "https://ca.example:100000/x", "bad-url" },
        { "https://ca.example:4a/x", "bad-url" },
        { "https://ca.example:-1/x", "bad-url" },
        { "https://ca.example:1:2/x", "bad-url" },
        /* path */
        { "https://ca.example", "bad-url" },
        { "https://ca.example//x", "bad-url" },
        { "https://ca.example/a//x", "bad-url" },
        { "https://ca.example/a//", "bad-url" },
        { "https://ca.example/./x", "bad-url" },
        { "https://ca.example/a/../x", "bad-url" },
        { "https://ca.example/a/.", "bad-url" },
        { "https://ca.example/a/..", "bad-url" },
        { "https://ca.example/%61", "bad-url" },
        { "https://ca.example/a;b", "bad-url" },
        { "https://ca.example/a b", "bad-url" },
        { "https://ca.example/a\\b", "bad-url" },
        { "https://ca.example/a\tb", "bad-url" },
        { "https://ca.example/a\nb", "bad-url" },
        { "https://ca.example/a\x7f", "bad-url" },
        { "https://ca.example/\xc3\xa4", "bad-url" },
        { "https://ca.example/a\"b", "bad-url" },
        { "https://ca.example/x#", "bad-url" },
        { "https://ca.example/x#y", "bad-url" },
        { "https://ca.example#y", "bad-url" },
        { "https://ca.example/x?#", "bad-url" },
        /* query */
        { "https://ca.example/x?", "url-query" },
        { "https://ca.example/x?y=1", "url-query" },
        { "https://ca.example?y=1", "bad-url" },
    };

    (void)state;
    check_urls(cases, ARRAY_LEN(cases), &(struct url_rules){ 0 });
}

static void test_a_nul_is_refused_everywhere(void **state)
{
    static const struct bytes cases[] = {
        { (const uint8_t *)"https://ca.ex\0mple/x", 20 },
        { (const uint8_t *)"https://ca.example/\0", 20 },
        { (const uint8_t *)"https://ca.example:1\0/", 22 },
        { (const uint8_t *)"https://ca.example/x?\0", 22 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal refusal = { 0 };
        struct url url;
        struct url_rules rules = { .allow_query = true };
        int r = url_read(cases[i], &rules, &url, &refusal);

        assert_outcome(outcome(r, &refusal), "bad-url",
                       (const char *)cases[i].data);
    }
}

static void test_allow_query_lifts_that_rule_only(void **state)
{
    static const struct url_case cases[] = {
        { "https://ca.example/x?y=1&z=/?", NULL },
        { "https://ca.example/x?", NULL },
        { "https://ca.example/x?%61", "bad-url" },
        { "https://ca.example/x?a b", "bad-url" },
        { "https://ca.example/x?a#b", "bad-url" },
        { "https://ca.example/x//y?a", "bad-url" },
        { "http://ca.example/x?a", "url-scheme" },
    };

    (void)state;
    check_urls(cases, ARRAY_LEN(cases),
               &(struct url_rules){ .allow_query = true });
}

static void test_plain_http_to_loopback_only(void **state)
{
    static const struct url_case cases[] = {
        { "http://127.0.0.1:4000/dir", NULL },
        { "http://127.1.2.3/dir", NULL },
        { "http://[::1]:4000/dir", NULL },
        { "http://127.0.0.1:443/dir", NULL },
        { "https://ca.example/dir", NULL },
        { "http://127.0.0.1:80/dir", "bad-url" },
        { "http://localhost:4000/dir", "url-scheme" },
        { "http://128.0.0.1/dir", "url-scheme" },
        { "http://[::2]/dir", "url-scheme" },
        { "http://ca.example/dir", "url-scheme" },
        { "http://127.0.0.1.evil.net/dir", "url-scheme" },
        { "http://a/dir", "url-scheme" },
    };

    (void)state;
    check_urls(cases, ARRAY_LEN(cases),
               &(struct url_rules){ .allow_http_loopback = true });
}

static void test_urls_of_1024_at_most(void **state)
{
    char text[ACME_URL_MAX + 2];
    struct refusal refusal = { 0 };
    struct url_rules rules = { 0 };
    struct url url;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "https://ca.example/", 19);
    text[ACME_URL_MAX] = 0;
    assert_int_equal(url_read(B(text), &rules, &url, &refusal), 0);
    text[ACME_URL_MAX] = 'x';
    text[ACME_URL_MAX + 1] = 0;
    assert_outcome(outcome(url_read(B(text), &rules, &url, &refusal), &refusal),
                   "bad-url", "1025 octets");
}

static void test_parts(void **state)
{
    struct refusal refusal = { 0 };
    struct url_rules rules = { .allow_query = true };
    struct url url;

    (void)state;
    assert_int_equal(
        url_read(B("https://[::1]:14000/a/b?c"), &rules, &url, &refusal), 0);
    assert_true(bytes_eq_str(url.origin, "https://[::1]:14000"));
    assert_true(bytes_eq_str(url.host, "[::1]"));
    assert_true(bytes_eq_str(url.path, "/a/b"));
}

static void test_the_origin_is_the_directorys_or_listed(void **state)
{
    static const struct url_case cases[] = {
        { "https://ca.example/x", NULL },
        { "https://other.example:8443/x", NULL },
        { "https://ca.example:8443/x", "foreign-origin" },
        { "https://other.example/x", "foreign-origin" },
        { "https://ca.example.evil.net/x", "foreign-origin" },
        { "https://evil.net/ca.example/x", "foreign-origin" },
        { "https://ca.exampl/x", "foreign-origin" },
        { "https://ca.example/x?y", "url-query" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a =
        account_new(REGISTERED ",\"origins\":[\"https://other.example:8443\"]");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal refusal = { 0 };
        int r = url_check_for_account(B(cases[i].url), a, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].want, cases[i].url);
    }
}

static void test_same_but_for_a_last_slash(void **state)
{
    (void)state;
    assert_true(url_same_but_slash(B("https://a/b"), "https://a/b"));
    assert_true(url_same_but_slash(B("https://a/b/"), "https://a/b"));
    assert_true(url_same_but_slash(B("https://a/b"), "https://a/b/"));
    assert_false(url_same_but_slash(B("https://a/b/c"), "https://a/b"));
    assert_true(url_same_but_slash(B(""), ""));
}

static void test_two_urls_of_one_origin(void **state)
{
    static const struct {
        const char *text, *other;
        const char *want; /* NULL: they are */
    } cases[] = {
        { "https://ca.example/new", "https://ca.example/dir", NULL },
        { "https://ca.example:1/new", "https://ca.example/dir",
          "foreign-origin" },
        { "https://ca.example.net/new", "https://ca.example/dir",
          "foreign-origin" },
        { "https://ca.example/new", "http://127.0.0.1/dir", "url-scheme" },
        { "http://127.0.0.1/new", "https://ca.example/dir", "url-scheme" },
        { "https://ca.example/a?b", "https://ca.example/dir", "url-query" },
    };
    const struct url_rules rules = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes text = B(cases[i].text);
        struct refusal refusal = { 0 };
        int r = url_check_origin(text, B(cases[i].other), &rules, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].want, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_spelling_only),
        cmocka_unit_test(test_a_nul_is_refused_everywhere),
        cmocka_unit_test(test_allow_query_lifts_that_rule_only),
        cmocka_unit_test(test_plain_http_to_loopback_only),
        cmocka_unit_test(test_urls_of_1024_at_most),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_the_origin_is_the_directorys_or_listed),
        cmocka_unit_test(test_two_urls_of_one_origin),
        cmocka_unit_test(test_same_but_for_a_last_slash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
