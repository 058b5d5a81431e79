/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net-read-support.h"

#define DIRECTORY(body) read_with(NET_KIND_DIRECTORY, net_read_directory, body)
#define ACCOUNT(body) read_with(NET_KIND_ACCOUNT, net_read_account, body)

#define URLS                                                                   \
    "\"newNonce\":\"https://ca.example/n\","                                   \
    "\"newAccount\":\"https://ca.example/a\","                                 \
    "\"newOrder\":\"https://ca.example/o\""

static void test_a_directory_gives_endpoints_terms_and_binding(void **state)
{
    (void)state;
    DIRECTORY("{" URLS ",\"keyChange\":\"https://ca.example/k\",\"x7\":\"r\","
              "\"meta\":{\"termsOfService\":\"https://ca.example/tos\","
              "\"externalAccountRequired\":true}}");
    assert_string_equal(answer.text, "");
    assert_string_equal(answer.directory.new_nonce, "https://ca.example/n");
    assert_string_equal(answer.directory.new_account, "https://ca.example/a");
    assert_string_equal(answer.directory.new_order, "https://ca.example/o");
    assert_string_equal(answer.directory.key_change, "https://ca.example/k");
    assert_string_equal(answer.directory.revoke_cert, "");
    assert_string_equal(answer.directory.meta.terms, "https://ca.example/tos");
    assert_int_equal(answer.directory.meta.needs_external_account, 1);
    DIRECTORY("{" URLS "}");
    assert_int_equal(answer.directory.meta.needs_external_account, 0);
}

static void test_a_directory_says_what_it_offers(void **state)
{
    const struct net_meta *m = &answer.directory.meta;

    (void)state;
    DIRECTORY("{" URLS ",\"meta\":{\"accountHashPrefix\":"
              "\"https://ca.example/h/\",\"issuerDomainNames\":"
              "[\"ca.example\"],\"caaIdentities\":[\"ca.example\","
              "\"b.example\"],\"profiles\":{\"classic\":\"x\"}}}");
    assert_string_equal(answer.text, "");
    assert_string_equal(m->account_hash_prefix, "https://ca.example/h/");
    assert_int_equal(m->issuers.n, 1);
    assert_string_equal(m->issuers.name[0], "ca.example");
    assert_int_equal(m->caa_identities.n, 2);
    assert_string_equal(m->caa_identities.name[1], "b.example");
    assert_int_equal(m->profiles.n, 1);
    assert_string_equal(m->profiles.name[0], "classic");
    DIRECTORY("{" URLS ",\"meta\":{\"accountHashPrefix\":"
              "\"https://ca.example/;h/\"}}");
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
    assert_non_null(strstr(answer.text, "meta"));
}

static void test_what_is_no_directory_is_refused(void **state)
{
    static const struct read_case cases[] = {
        { "", "not a directory" },
        { "<html>", "not a directory" },
        { "[]", "not a directory" },
        { "{" URLS, "not a directory" },
        { "{" URLS ",\"newOrder\":\"https://ca.example/p\"}",
          "duplicate-member" },
        { "{" URLS ",\"keyChange\":7}", "keyChange" },
        { "{}", "no newNonce" },
        { "{\"newNonce\":\"https://ca.example/n\",\"newOrder\":"
          "\"https://ca.example/o\"}",
          "no newAccount" },
        { "{" URLS ",\"keyChange\":\"https://ca.example/\\u0001\"}",
          "keyChange is not printable" },
        { "{" URLS ",\"keyChange\":\"/key\"}", "keyChange is no https URL" },
        { "{" URLS ",\"keyChange\":\"http://ca.example/k\"}",
          "keyChange is no https URL" },
        { "{" URLS ",\"keyChange\":\"\"}", "keyChange is no https URL" },
    };

    (void)state;
    read_cases(NET_KIND_DIRECTORY, net_read_directory, cases, ARRAY_LEN(cases));
}

static void test_an_overlong_endpoint_is_refused_not_cut(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(buf_append_str(&b, "{" URLS ",\"keyChange\":\"https://"),
                     0);
    for (int i = 0; i < ACME_URL_MAX; i++)
        assert_int_equal(buf_append_char(&b, 'a'), 0);
    assert_int_equal(buf_append_str(&b, "\"}"), 0);
    DIRECTORY(buf_str(&b));
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
}

static void test_an_account_has_a_status(void **state)
{
    static const struct read_case cases[] = {
        { "{\"status\":\"valid\",\"contact\":[]}", NULL },
        { "{\"status\":\"a\\u001bb\"}", "status is not printable" },
        { "{\"status\":7}", "status is not a string" },
        { "{\"status\":\"\"}", "status is empty" },
        { "{}", "no status" },
        { "[]", "not a JSON object" },
        { "", "not a JSON object" },
        { "{\"status\":\"valid\",\"status\":\"valid\"}", "not a JSON object" },
        { "{\"status\":\"123456789012345678901234567890123\"}", "too long" },
    };

    (void)state;
    read_cases(NET_KIND_ACCOUNT, net_read_account, cases, ARRAY_LEN(cases));
    ACCOUNT("{\"status\":\"valid\"}");
    assert_string_equal(answer.account.status, "valid");
    assert_int_equal(answer.account.names_key, 0);
}

static void test_contacts_are_shown_as_far_as_there_is_room(void **state)
{
    (void)state;
    ACCOUNT("{\"status\":\"valid\",\"contact\":[\"mailto:a@b.example\",7,"
            "\"\",\"mailto:\\nx\"]}");
    assert_int_equal(answer.account.n_contacts, 2);
    assert_string_equal(answer.account.contact[0], "mailto:a@b.example");
    assert_string_equal(answer.account.contact[1], "mailto:?x");
    ACCOUNT("{\"status\":\"valid\",\"contact\":[\"1\",\"2\",\"3\",\"4\",\"5\","
            "\"6\",\"7\",\"8\",\"9\",\"10\",\"11\"]}");
    assert_int_equal(answer.account.n_contacts, NET_CONTACTS_MAX);
}

/* The example of RFC 7638 section 3.1, with the members that it has besides. */
#define RFC7638_N                                                              \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7"   \
    "aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXA"   \
    "rwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7"   \
    "d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lF"   \
    "d2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

static void test_the_key_of_an_account_has_its_thumbprint(void **state)
{
    (void)state;
    ACCOUNT("{\"status\":\"valid\",\"key\":{\"kty\":\"RSA\",\"n\":\"" RFC7638_N
            "\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}}");
    assert_int_equal(answer.account.names_key, 1);
    assert_string_equal(answer.account.thumbprint,
                        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

static void test_a_key_that_cannot_be_read_is_named_all_the_same(void **state)
{
    static const char *const keys[] = {
        "7",
        "{}",
        "\"x\"",
        "[]",
        "{\"kty\":\"EC\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        CLEANUP_BUF struct buf b = { 0 };

        assert_int_equal(
            buf_printf(&b, "{\"status\":\"valid\",\"key\":%s}", keys[i]), 0);
        ACCOUNT(buf_str(&b));
        assert_int_equal(answer.account.names_key, 1);
        assert_string_equal(answer.account.thumbprint, "");
    }
    ACCOUNT("{\"status\":\"valid\",\"key\":null}");
    assert_int_equal(answer.account.names_key, 0);
}

static void test_a_problem_is_read_as_far_as_it_goes(void **state)
{
    static const struct {
        const char *body, *type, *detail;
    } cases[] = {
        { "{\"type\":\"urn:x\",\"detail\":\"a\\nb\",\"status\":400}", "urn:x",
          "a?b" },
        { "{\"type\":7,\"detail\":[]}", "", "" },
        { "<html>no</html>", "", "" },
        { "", "", "" },
        { "{\"type\":\"u\",\"detail\":\"two\",\"subproblems\":[{\"detail\":"
          "\"no\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"}},"
          "7,{\"detail\":\"neither\"},{\"identifier\":{\"value\":\"b\"}}]}",
          "u", "two; a.example: no; neither; b" },
        { "{\"subproblems\":[{\"detail\":\"alone\"}]}", "", "alone" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        memset(&answer, 0, sizeof(answer));
        answer.kind = NET_KIND_ORDER;
        answer.result = NET_RESULT_OK;
        answer.http_status = 400;
        net_read_problem(&answer, bytes_from_str(cases[i].body));
        assert_true(
            net_answer_check(&answer, net_answer_len(&answer), NET_KIND_ORDER));
        assert_string_equal(answer.problem.type, cases[i].type);
        assert_string_equal(answer.problem.detail, cases[i].detail);
    }
}

static void test_too_many_subproblems_are_cut(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(buf_append_str(&b, "{\"subproblems\":[0"), 0);
    for (int i = 0; i < 400; i++)
        assert_int_equal(buf_append_str(&b, ",{\"detail\":\"some\"}"), 0);
    assert_int_equal(buf_append_str(&b, "]}"), 0);
    memset(&answer, 0, sizeof(answer));
    net_read_problem(&answer, buf_bytes(&b));
    assert_int_equal(strlen(answer.problem.detail), NET_DETAIL_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_directory_gives_endpoints_terms_and_binding),
        cmocka_unit_test(test_a_directory_says_what_it_offers),
        cmocka_unit_test(test_what_is_no_directory_is_refused),
        cmocka_unit_test(test_an_overlong_endpoint_is_refused_not_cut),
        cmocka_unit_test(test_an_account_has_a_status),
        cmocka_unit_test(test_contacts_are_shown_as_far_as_there_is_room),
        cmocka_unit_test(test_the_key_of_an_account_has_its_thumbprint),
        cmocka_unit_test(test_a_key_that_cannot_be_read_is_named_all_the_same),
        cmocka_unit_test(test_a_problem_is_read_as_far_as_it_goes),
        cmocka_unit_test(test_too_many_subproblems_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
