/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client-shim/issue-cert.h"
#include "issue-fixture.h"

#define NOW INT64_C(1800000000)
#define DAY INT64_C(86400)

static const char *const names[] = { "www.example.com", "*.example.com", NULL };

struct world {
    EVP_PKEY *leaf_key, *ca_key, *root_key;
    X509 *leaf, *ca;
    struct identifiers ordered;
};

static void order(struct identifiers *ids, const char *const *list)
{
    struct refusal refusal;

    for (; *list; list++)
        assert_int_equal(identifiers_add(ids, IDENTIFIER_DNS,
                                         bytes_from_str(*list), &refusal),
                         0);
}

static struct fixture_cert leaf_like(void)
{
    return (struct fixture_cert){ .issuer = "Intermediate",
                                  .names = names,
                                  .not_before_s = NOW - DAY,
                                  .not_after_s = NOW + 89 * DAY };
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct fixture_cert ca = { .subject = "Intermediate",
                                     .issuer = "The root",
                                     .not_before_s = NOW - DAY,
                                     .not_after_s = NOW + 900 * DAY };
    const struct fixture_cert leaf = leaf_like();

    w->leaf_key = fixture_key();
    w->ca_key = fixture_key();
    w->root_key = fixture_key();
    w->leaf = fixture_cert(&leaf, w->leaf_key, w->ca_key);
    w->ca = fixture_cert(&ca, w->ca_key, w->root_key);
    order(&w->ordered, names);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    EVP_PKEY_free(w->leaf_key);
    EVP_PKEY_free(w->ca_key);
    EVP_PKEY_free(w->root_key);
    X509_free(w->leaf);
    X509_free(w->ca);
    identifiers_deinit(&w->ordered);
    free(w);
    return 0;
}

static STACK_OF(X509) * chain_of(X509 *first, X509 *second)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    assert_int_equal(X509_up_ref(first), 1);
    assert_true(sk_X509_push(chain, first) > 0);
    if (second) {
        assert_int_equal(X509_up_ref(second), 1);
        assert_true(sk_X509_push(chain, second) > 0);
    }
    return chain;
}

static void expect_bad(const STACK_OF(X509) * chain, const EVP_PKEY *key,
                       const struct identifiers *ids, int64_t now_s,
                       const char *words)
{
    struct errmsg err = { 0 };

    assert_int_equal(issue_chain_check(chain, key, ids, now_s, &err),
                     ISSUE_CERT_E_INVALID);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void test_a_good_chain_passes(void **state)
{
    struct world *w = *state;
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = chain_of(w->leaf, w->ca);
    struct errmsg err = { 0 };

    assert_int_equal(
        issue_chain_check(chain, w->leaf_key, &w->ordered, NOW, &err), 0);
}

static void test_another_key_is_refused(void **state)
{
    struct world *w = *state;
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = chain_of(w->leaf, w->ca);

    expect_bad(chain, w->ca_key, &w->ordered, NOW, "key of the request");
}

static void test_other_names_are_refused(void **state)
{
    static const char *const fewer[] = { "www.example.com", NULL };
    static const char *const more[] = { "www.example.com", "*.example.com",
                                        "api.example.com", NULL };
    struct world *w = *state;
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = chain_of(w->leaf, w->ca);
    const char *const *lists[] = { fewer, more };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct identifiers ids = { 0 };

        order(&ids, lists[i]);
        expect_bad(chain, w->leaf_key, &ids, NOW, "names are not those");
        identifiers_deinit(&ids);
    }
}

static void test_an_expired_one_is_refused(void **state)
{
    struct world *w = *state;
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = chain_of(w->leaf, w->ca);

    expect_bad(chain, w->leaf_key, &w->ordered, NOW + 89 * DAY, "expired");
}

/* Neither by name alone nor by key alone. */
static void test_a_chain_that_does_not_link_is_refused(void **state)
{
    struct world *w = *state;
    const struct fixture_cert same_name = { .subject = "Intermediate",
                                            .issuer = "The root",
                                            .not_before_s = NOW - DAY,
                                            .not_after_s = NOW + DAY };
    const struct fixture_cert same_key = { .subject = "Another",
                                           .issuer = "The root",
                                           .not_before_s = NOW - DAY,
                                           .not_after_s = NOW + DAY };
    X509 *others[] = { fixture_cert(&same_name, w->root_key, w->root_key),
                       fixture_cert(&same_key, w->ca_key, w->root_key) };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain =
            chain_of(w->leaf, others[i]);

        expect_bad(chain, w->leaf_key, &w->ordered, NOW, "not signed by");
        X509_free(others[i]);
    }
}

static void test_the_top_is_who_issued_the_last(void **state)
{
    struct world *w = *state;
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = chain_of(w->leaf, w->ca);
    CLEANUP_BUF struct buf top = { 0 };

    assert_int_equal(issue_chain_top(chain, &top), 0);
    assert_string_equal(buf_str(&top), "The root");
}

/* It is a stranger's text. */
static void test_the_top_can_be_shown(void **state)
{
    struct world *w = *state;
    const struct fixture_cert strange = { .subject = "Intermediate",
                                          .issuer = "R\x1b[2J\xc3\xb6\x7f"
                                                    "\xc2\x9b"
                                                    "2J\xc2\xa0",
                                          .not_before_s = NOW - DAY,
                                          .not_after_s = NOW + DAY };
    const struct fixture_cert nameless = { .subject = "Intermediate",
                                           .not_before_s = NOW - DAY,
                                           .not_after_s = NOW + DAY };
    const struct fixture_cert *cases[] = { &strange, &nameless };
    static const char *const shown[] = { "R?[2J\xc3\xb6??2J\xc2\xa0", "" };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        X509 *cert = fixture_cert(cases[i], w->ca_key, w->root_key);
        CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = chain_of(w->leaf, cert);
        CLEANUP_BUF struct buf top = { 0 };

        X509_free(cert);
        assert_int_equal(issue_chain_top(chain, &top), 0);
        assert_string_equal(buf_str(&top), shown[i]);
    }
}

static void test_pem_with_text_between_is_read(void **state)
{
    struct world *w = *state;
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = NULL;
    CLEANUP_BUF struct buf pem = { 0 };

    fixture_pem(w->leaf, &pem);
    assert_int_equal(buf_append_str(&pem, "\nsubject=CN = x\n"), 0);
    fixture_pem(w->ca, &pem);
    assert_int_equal(issue_chain_parse(buf_bytes(&pem), &chain), 0);
    assert_int_equal(sk_X509_num(chain), 2);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 1), w->ca), 0);
}

static void test_what_is_no_pem_is_refused(void **state)
{
    struct world *w = *state;
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = NULL;
    CLEANUP_BUF struct buf half = { 0 };
    CLEANUP_BUF struct buf bent = { 0 };

    assert_int_equal(issue_chain_parse(bytes_from_str("root:x:0:0"), &chain),
                     ISSUE_CERT_E_INVALID);
    assert_int_equal(issue_chain_parse((struct bytes){ NULL, 0 }, &chain),
                     ISSUE_CERT_E_INVALID);
    fixture_pem(w->leaf, &half);
    half.len /= 2;
    assert_int_equal(issue_chain_parse(buf_bytes(&half), &chain),
                     ISSUE_CERT_E_INVALID);
    /* A good one before it does not make up for it. */
    fixture_pem(w->leaf, &bent);
    fixture_pem(w->ca, &bent);
    bent.data[bent.len - 60] = '!';
    assert_int_equal(issue_chain_parse(buf_bytes(&bent), &chain),
                     ISSUE_CERT_E_INVALID);
}

/* RFC 9773 section 4.1. */
static void test_renewal_information_names_it_as_the_rfc_says(void **state)
{
    struct world *w = *state;
    struct fixture_cert c = leaf_like();
    CLEANUP_BUF struct buf id = { 0 };
    X509 *cert;

    c.key_id_hex = "69885B6B87464041E1B37B847BA0AE2CDE01C8D4";
    c.serial_hex = "87654321";
    cert = fixture_cert(&c, w->leaf_key, w->ca_key);
    assert_int_equal(issue_cert_ari_id(cert, &id), 0);
    assert_string_equal(buf_str(&id), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    X509_free(cert);
}

static void test_without_a_key_identifier_it_has_no_such_name(void **state)
{
    struct world *w = *state;
    CLEANUP_BUF struct buf id = { 0 };

    assert_int_equal(issue_cert_ari_id(w->leaf, &id), ISSUE_CERT_E_INVALID);
    assert_int_equal(id.len, 0);
}

static void test_names_meet(void **state)
{
    static const char *const one[] = { "api.example.com", "www.example.com",
                                       NULL };
    static const char *const other[] = { "api.example.com", NULL };
    struct world *w = *state;
    struct identifiers a = { 0 };
    struct identifiers b = { 0 };

    order(&a, one);
    order(&b, other);
    assert_true(issue_names_meet(&a, &w->ordered));
    assert_false(issue_names_meet(&b, &w->ordered));
    assert_false(issue_names_same(&a, &w->ordered));
    identifiers_deinit(&a);
    identifiers_deinit(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_good_chain_passes),
        TEST(test_another_key_is_refused),
        TEST(test_other_names_are_refused),
        TEST(test_an_expired_one_is_refused),
        TEST(test_a_chain_that_does_not_link_is_refused),
        TEST(test_the_top_is_who_issued_the_last),
        TEST(test_the_top_can_be_shown),
        TEST(test_pem_with_text_between_is_read),
        TEST(test_what_is_no_pem_is_refused),
        TEST(test_renewal_information_names_it_as_the_rfc_says),
        TEST(test_without_a_key_identifier_it_has_no_such_name),
        TEST(test_names_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
