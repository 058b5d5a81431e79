/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client-shim/net-answer.h"

static struct net_answer good(void)
{
    struct net_answer a = { .kind = NET_KIND_POST,
                            .result = NET_RESULT_OK,
                            .http_status = 201 };

    (void)strcpy(a.location, "https://ca.example/acct/1");
    (void)strcpy(a.nonce, "abc-_09Z");
    (void)strcpy(a.acme_status, "valid");
    return a;
}

static void test_a_good_answer_passes(void **state)
{
    struct net_answer a = good();

    (void)state;
    assert_true(net_answer_check(&a, sizeof(a), NET_KIND_POST));
}

static void test_another_length_or_kind_is_refused(void **state)
{
    struct net_answer a = good();

    (void)state;
    assert_false(net_answer_check(&a, sizeof(a) - 1, NET_KIND_POST));
    assert_false(net_answer_check(&a, 0, NET_KIND_POST));
    assert_false(net_answer_check(&a, sizeof(a), NET_KIND_NONCE));
}

static void test_results_outside_their_range_are_refused(void **state)
{
    static const struct {
        uint32_t result, status;
        bool ok;
    } cases[] = {
        { NET_RESULT_OK, 200, true },   { NET_RESULT_OK, 599, true },
        { NET_RESULT_OK, 199, false },  { NET_RESULT_OK, 600, false },
        { NET_RESULT_OK, 0, false },    { NET_RESULT_UNSET, 0, false },
        { NET_RESULT_TLS, 0, true },    { NET_RESULT_TLS, 200, false },
        { NET_RESULT_COUNT, 0, false }, { UINT32_MAX, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_answer a = good();

        a.result = cases[i].result;
        a.http_status = cases[i].status;
        if (net_answer_check(&a, sizeof(a), NET_KIND_POST) != cases[i].ok)
            fail_msg("result %u status %u", cases[i].result, cases[i].status);
    }
}

/* Each text must end inside, be printable, and hide nothing behind its end. */
static void test_bad_text_in_any_field_is_refused(void **state)
{
    static const struct {
        size_t offset, size;
    } fields[] = {
#define FIELD(name)                                                            \
    { offsetof(struct net_answer, name),                                       \
      sizeof(((struct net_answer *)0)->name) }
        FIELD(text),
        FIELD(location),
        FIELD(nonce),
        FIELD(acme_status),
        FIELD(problem_type),
        FIELD(problem_detail),
        FIELD(directory.new_nonce),
        FIELD(directory.new_account),
        FIELD(directory.new_order),
        FIELD(directory.new_authz),
        FIELD(directory.revoke_cert),
        FIELD(directory.key_change),
        FIELD(directory.renewal_info),
        FIELD(directory.terms),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct net_answer a = good();
        char *field = (char *)&a + fields[i].offset;

        memset(field, 'a', fields[i].size - 1);
        assert_true(net_answer_check(&a, sizeof(a), NET_KIND_POST));
        field[fields[i].size - 1] = 'a';
        assert_false(net_answer_check(&a, sizeof(a), NET_KIND_POST));
        memset(field, 0, fields[i].size);
        field[1] = 'a';
        assert_false(net_answer_check(&a, sizeof(a), NET_KIND_POST));
        field[0] = '\x1b';
        assert_false(net_answer_check(&a, sizeof(a), NET_KIND_POST));
    }
}

static void test_a_nonce_of_another_alphabet_is_refused(void **state)
{
    struct net_answer a = good();

    (void)state;
    (void)strcpy(a.nonce, "ab\"c");
    assert_false(net_answer_check(&a, sizeof(a), NET_KIND_POST));
}

static void test_text_is_cut_and_made_printable(void **state)
{
    char to[5];

    (void)state;
    net_text(to, 4, "a\nb\xff-long", 8);
    assert_string_equal(to, "a?b?");
    net_text(to, 4, "ab", 2);
    assert_string_equal(to, "ab");
}

static struct net_answer
read_with(void (*fn)(struct net_answer *, struct bytes), const char *body)
{
    struct net_answer a = { .kind = NET_KIND_POST,
                            .result = NET_RESULT_OK,
                            .http_status = 200 };

    fn(&a, bytes_from_str(body));
    assert_true(net_answer_check(&a, sizeof(a), NET_KIND_POST) ||
                a.result != NET_RESULT_OK);
    return a;
}

#define URLS                                                                   \
    "\"newNonce\":\"https://ca.example/n\","                                   \
    "\"newAccount\":\"https://ca.example/a\","                                 \
    "\"newOrder\":\"https://ca.example/o\""

static void test_a_directory_gives_endpoints_terms_and_binding(void **state)
{
    struct net_answer a = read_with(
        net_answer_read_directory,
        "{" URLS ",\"keyChange\":\"https://ca.example/k\",\"x7\":\"random\","
        "\"meta\":{\"termsOfService\":\"https://ca.example/\\ntos\","
        "\"externalAccountRequired\":true}}");

    (void)state;
    assert_string_equal(a.text, "");
    assert_int_equal(a.result, NET_RESULT_OK);
    assert_string_equal(a.directory.new_nonce, "https://ca.example/n");
    assert_string_equal(a.directory.new_account, "https://ca.example/a");
    assert_string_equal(a.directory.new_order, "https://ca.example/o");
    assert_string_equal(a.directory.key_change, "https://ca.example/k");
    assert_string_equal(a.directory.revoke_cert, "");
    assert_string_equal(a.directory.terms, "https://ca.example/?tos");
    assert_int_equal(a.directory.needs_external_account, 1);
}

static void test_what_is_no_directory_is_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "<html>",
        "[]",
        "{" URLS,
        "{" URLS ",\"newOrder\":\"https://ca.example/p\"}",
        "{" URLS ",\"keyChange\":7}",
        "{}",
        "{\"newNonce\":\"https://ca.example/n\",\"newOrder\":"
        "\"https://ca.example/o\"}",
        "{" URLS ",\"keyChange\":\"https://ca.example/\\u0001\"}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct net_answer a = read_with(net_answer_read_directory, bodies[i]);

        if (a.result != NET_RESULT_BAD_ANSWER || !a.text[0])
            fail_msg("%s: %u %s", bodies[i], a.result, a.text);
    }
}

static void test_an_overlong_endpoint_is_refused_not_cut(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct net_answer a;

    (void)state;
    assert_int_equal(buf_append_str(&b, "{" URLS ",\"keyChange\":\"https://"),
                     0);
    for (int i = 0; i < ACME_URL_MAX; i++)
        assert_int_equal(buf_append_char(&b, 'a'), 0);
    assert_int_equal(buf_append_str(&b, "\"}"), 0);
    a = read_with(net_answer_read_directory, buf_str(&b));
    assert_int_equal(a.result, NET_RESULT_BAD_ANSWER);
}

static void test_an_account_has_a_status(void **state)
{
    static const struct {
        const char *body, *status;
    } cases[] = {
        { "{\"status\":\"valid\",\"contact\":[]}", "valid" },
        { "{\"status\":\"a\\u001bb\"}", "a?b" },
        { "{\"status\":7}", NULL },
        { "{}", NULL },
        { "[]", NULL },
        { "", NULL },
        { "{\"status\":\"valid\",\"status\":\"valid\"}", NULL },
        { "{\"status\":\"123456789012345678901234567890123\"}", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_answer a = read_with(net_answer_read_account, cases[i].body);

        assert_int_equal(a.result, cases[i].status ? NET_RESULT_OK
                                                   : NET_RESULT_BAD_ANSWER);
        assert_string_equal(a.acme_status,
                            cases[i].status ? cases[i].status : "");
    }
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
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_answer a = read_with(net_answer_read_problem, cases[i].body);

        assert_string_equal(a.problem_type, cases[i].type);
        assert_string_equal(a.problem_detail, cases[i].detail);
        assert_int_equal(a.result, NET_RESULT_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_answer_passes),
        cmocka_unit_test(test_another_length_or_kind_is_refused),
        cmocka_unit_test(test_results_outside_their_range_are_refused),
        cmocka_unit_test(test_bad_text_in_any_field_is_refused),
        cmocka_unit_test(test_a_nonce_of_another_alphabet_is_refused),
        cmocka_unit_test(test_text_is_cut_and_made_printable),
        cmocka_unit_test(test_a_directory_gives_endpoints_terms_and_binding),
        cmocka_unit_test(test_what_is_no_directory_is_refused),
        cmocka_unit_test(test_an_overlong_endpoint_is_refused_not_cut),
        cmocka_unit_test(test_an_account_has_a_status),
        cmocka_unit_test(test_a_problem_is_read_as_far_as_it_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
