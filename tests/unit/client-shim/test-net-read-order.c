/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net-read-support.h"

#define ORDER(body) read_with(NET_KIND_ORDER, net_read_order, body)
#define AUTHZ(body) read_with(NET_KIND_AUTHZ, net_read_authz, body)
#define CHALLENGE(body) read_with(NET_KIND_CHALLENGE, net_read_challenge, body)
#define RENEWAL(body) read_with(NET_KIND_RENEWAL_INFO, net_read_renewal, body)

#define Z "\"https://ca.example/z/1\""
#define F "\"finalize\":\"https://ca.example/f\""

static void test_an_order_is_read(void **state)
{
    (void)state;
    ORDER("{\"status\":\"invalid\",\"expires\":\"2026-11-01T00:00:00Z\"," F ","
          "\"authorizations\":[" Z ",\"https://ca.example/z/2\"],"
          "\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}],"
          "\"certificate\":\"https://ca.example/c\",\"error\":{\"type\":\"t\","
          "\"detail\":\"d\"},\"profile\":\"x\",\"notBefore\":null}");
    assert_string_equal(answer.order.status, "invalid");
    assert_string_equal(answer.order.finalize, "https://ca.example/f");
    assert_string_equal(answer.order.certificate, "https://ca.example/c");
    assert_string_equal(answer.order.error.type, "t");
    assert_string_equal(answer.order.error.detail, "d");
    assert_int_equal(answer.order.n_authorizations, 2);
    assert_string_equal(answer.order.authorization[1],
                        "https://ca.example/z/2");
}

static void test_what_is_no_order_is_refused(void **state)
{
    static const struct read_case cases[] = {
        { "{\"status\":\"ready\"," F ",\"authorizations\":[" Z "]}", NULL },
        { "[]", "not a JSON object" },
        { "{" F ",\"authorizations\":[" Z "]}", "no status" },
        { "{\"status\":\"ready\",\"authorizations\":[" Z "]}", "no finalize" },
        { "{\"status\":\"ready\"," F "}", "authorizations" },
        { "{\"status\":\"ready\"," F ",\"authorizations\":[]}",
          "authorizations" },
        { "{\"status\":\"ready\"," F ",\"authorizations\":" Z "}",
          "authorizations" },
        { "{\"status\":\"ready\"," F ",\"authorizations\":[" Z ",7]}",
          "authorization is not a string" },
        { "{\"status\":\"ready\"," F ",\"authorizations\":[\"\"]}",
          "authorization is empty" },
        { "{\"status\":\"ready\"," F ",\"authorizations\":[" Z
          "],\"certificate\":\"\\u0007\"}",
          "certificate is not printable" },
        /* what nobody reads, nobody judges */
        { "{\"status\":\"ready\"," F ",\"authorizations\":[" Z
          "],\"expires\":\"tomorrow\"}",
          NULL },
    };

    (void)state;
    read_cases(NET_KIND_ORDER, net_read_order, cases, ARRAY_LEN(cases));
}

static void order_of(int n, struct buf *b)
{
    assert_int_equal(
        buf_append_str(b, "{\"status\":\"ready\"," F ",\"authorizations\":[" Z),
        0);
    for (int i = 1; i < n; i++)
        assert_int_equal(buf_append_str(b, "," Z), 0);
    assert_int_equal(buf_append_str(b, "]}"), 0);
}

static void test_an_order_has_at_most_a_hundred_authorizations(void **state)
{
    CLEANUP_BUF struct buf most = { 0 };
    CLEANUP_BUF struct buf more = { 0 };

    (void)state;
    order_of(NET_AUTHORIZATIONS_MAX, &most);
    order_of(NET_AUTHORIZATIONS_MAX + 1, &more);
    ORDER(buf_str(&most));
    assert_int_equal(answer.order.n_authorizations, NET_AUTHORIZATIONS_MAX);
    ORDER(buf_str(&more));
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
}

#define HTTP01                                                                 \
    "{\"type\":\"http-01\",\"url\":\"https://ca.example/h\","                  \
    "\"status\":\"pending\",\"token\":\"t\"}"
#define PERSIST(more)                                                          \
    "{\"type\":\"dns-persist-01\",\"url\":\"https://ca.example/p\","           \
    "\"status\":\"pending\"" more "}"
#define ID "\"identifier\":{\"type\":\"dns\",\"value\":\"www.example.com\"}"

static void test_an_authorization_has_its_persist_challenge(void **state)
{
    (void)state;
    AUTHZ("{\"status\":\"pending\"," ID ",\"wildcard\":true,"
          "\"expires\":\"2026-11-01T00:00:00Z\",\"challenges\":[" HTTP01
          "," PERSIST(",\"issuer-domain-names\":[\"ca.example\",\"b.example\"],"
                      "\"accounturi\":\"https://ca.example/a/1\"") "]}");
    assert_string_equal(answer.authz.identifier_type, "dns");
    assert_string_equal(answer.authz.identifier, "www.example.com");
    assert_int_equal(answer.authz.wildcard, 1);
    assert_string_equal(answer.authz.offered, "http-01, dns-persist-01");
    assert_int_equal(answer.authz.has_persist, 1);
    assert_string_equal(answer.authz.persist.url, "https://ca.example/p");
    assert_string_equal(answer.authz.persist.accounturi,
                        "https://ca.example/a/1");
    assert_int_equal(answer.authz.persist.issuers.n, 2);
    assert_string_equal(answer.authz.persist.issuers.name[1], "b.example");
}

static void test_an_authorization_without_the_challenge_says_others(void **s)
{
    (void)s;
    AUTHZ("{\"status\":\"valid\"," ID ",\"challenges\":[" HTTP01 "]}");
    assert_int_equal(answer.authz.has_persist, 0);
    assert_string_equal(answer.authz.offered, "http-01");
    AUTHZ("{\"status\":\"valid\"," ID "}");
    assert_int_equal(answer.authz.has_persist, 0);
}

static void test_what_is_no_authorization_is_refused(void **state)
{
    static const struct read_case cases[] = {
        { "{" ID "}", "no status" },
        { "{\"status\":\"valid\"}", "identifier has no type" },
        { "{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\"}}",
          "identifier has no value" },
        { "{\"status\":\"valid\"," ID ",\"wildcard\":1}",
          "wildcard is neither" },
        { "{\"status\":\"valid\"," ID
          ",\"challenges\":[" PERSIST("") "," PERSIST("") "]}",
          "two challenges" },
        { "{\"status\":\"valid\"," ID
          ",\"challenges\":[{\"type\":\"dns-persist-01\"}]}",
          "challenge has no status" },
    };

    (void)state;
    read_cases(NET_KIND_AUTHZ, net_read_authz, cases, ARRAY_LEN(cases));
}

static void test_both_drafts_name_the_issuers(void **state)
{
    static const struct read_case cases[] = {
        { PERSIST(",\"issuer-domain-names\":7"), "not an array" },
        { PERSIST(",\"issuer-domain-names\":[7]"), "not a string" },
        { PERSIST(",\"issuer-domain-names\":[\"\"]"), "not a string" },
        { PERSIST(",\"issuer-domain-names\":[\"a\"],"
                  "\"issuerDomainNames\":[\"a\"]"),
          "both" },
        { PERSIST(",\"accounturi\":7"), "accounturi is not a string" },
        { PERSIST(""), NULL },
        { "[]", "not a JSON object" },
    };

    (void)state;
    read_cases(NET_KIND_CHALLENGE, net_read_challenge, cases, ARRAY_LEN(cases));
    CHALLENGE(PERSIST(",\"issuerDomainNames\":[\"ca.example\"]"));
    assert_string_equal(answer.challenge.issuers.name[0], "ca.example");
    CHALLENGE(PERSIST(",\"error\":{\"detail\":\"no record\"}"));
    assert_string_equal(answer.challenge.error.detail, "no record");
}

static void test_too_many_issuers_are_refused(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(buf_append_str(&b, "{\"type\":\"dns-persist-01\",\"url\":"
                                        "\"u\",\"status\":\"pending\","
                                        "\"issuerDomainNames\":[\"a\""),
                     0);
    for (int i = 0; i < NET_NAMES_MAX; i++)
        assert_int_equal(buf_append_str(&b, ",\"a\""), 0);
    assert_int_equal(buf_append_str(&b, "]}"), 0);
    CHALLENGE(buf_str(&b));
    assert_non_null(strstr(answer.text, "too many"));
}

static void test_a_renewal_window_has_an_end_after_its_start(void **state)
{
#define WINDOW(start, end)                                                     \
    "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"},"      \
    "\"explanationURL\":\"https://ca.example/why\"}"
    static const struct read_case cases[] = {
        { WINDOW("2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z"), "window" },
        { WINDOW("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"), "Window" },
        { WINDOW("2026-11-01", "2026-11-02"), "start is not a time" },
        { "{}", "no suggestedWindow" },
        { "{\"suggestedWindow\":7}", "no suggestedWindow" },
        { "", "not a JSON object" },
    };

    (void)state;
    read_cases(NET_KIND_RENEWAL_INFO, net_read_renewal, cases + 1,
               ARRAY_LEN(cases) - 1);
    RENEWAL(cases[0].body);
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
    RENEWAL(WINDOW("2026-11-01T00:00:00Z", "2026-11-02T00:00:00.5+00:00"));
    assert_int_equal(answer.renewal.start_s, 1793491200);
    assert_int_equal(answer.renewal.end_s, 1793491200 + 86400);
    assert_string_equal(answer.renewal.explanation, "https://ca.example/why");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_order_is_read),
        cmocka_unit_test(test_what_is_no_order_is_refused),
        cmocka_unit_test(test_an_order_has_at_most_a_hundred_authorizations),
        cmocka_unit_test(test_an_authorization_has_its_persist_challenge),
        cmocka_unit_test(
            test_an_authorization_without_the_challenge_says_others),
        cmocka_unit_test(test_what_is_no_authorization_is_refused),
        cmocka_unit_test(test_both_drafts_name_the_issuers),
        cmocka_unit_test(test_too_many_issuers_are_refused),
        cmocka_unit_test(test_a_renewal_window_has_an_end_after_its_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
