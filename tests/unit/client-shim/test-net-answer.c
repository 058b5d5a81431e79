/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client-shim/net-answer.h"

/* Large: one for each use, never on the stack. */
static struct net_answer a;

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static void set_directory(void)
{
    (void)strcpy(a.directory.new_nonce, "https://ca.example/n");
    (void)strcpy(a.directory.new_account, "https://ca.example/a");
    (void)strcpy(a.directory.new_order, "https://ca.example/o");
    a.directory.meta.issuers.n = 1;
    (void)strcpy(a.directory.meta.issuers.name[0], "ca.example");
}

static void set_order(void)
{
    (void)strcpy(a.order.status, "pending");
    (void)strcpy(a.order.finalize, "https://ca.example/f");
    (void)strcpy(a.order.authorization[0], "https://ca.example/z");
    a.order.n_authorizations = 1;
}

static void set_challenge(struct net_challenge *c)
{
    (void)strcpy(c->type, "dns-persist-01");
    (void)strcpy(c->status, "pending");
    (void)strcpy(c->url, "https://ca.example/c");
}

static void set_authz(void)
{
    (void)strcpy(a.authz.status, "pending");
    (void)strcpy(a.authz.identifier, "www.example.com");
    a.authz.has_persist = 1;
    set_challenge(&a.authz.persist);
}

/* The smallest good answer of each kind. */
static void set_good(enum net_kind kind)
{
    memset(&a, 0, sizeof(a));
    a.kind = kind;
    a.result = NET_RESULT_OK;
    a.http_status = 200;
    (void)strcpy(a.nonce, "abc-_09Z");
    if (kind == NET_KIND_DIRECTORY)
        set_directory();
    if (kind == NET_KIND_ACCOUNT)
        (void)strcpy(a.account.status, "valid");
    if (kind == NET_KIND_ORDER)
        set_order();
    if (kind == NET_KIND_AUTHZ)
        set_authz();
    if (kind == NET_KIND_CHALLENGE)
        set_challenge(&a.challenge);
    if (kind == NET_KIND_CERTIFICATE) {
        (void)strcpy(a.certificate.pem, PEM);
        a.certificate.pem_len = strlen(PEM);
    }
    if (kind == NET_KIND_RENEWAL_INFO) {
        a.renewal.start_s = 1;
        a.renewal.end_s = 2;
    }
}

static bool passes(enum net_kind kind)
{
    return net_answer_check(&a, net_answer_len(&a), kind);
}

static void test_a_good_answer_of_each_kind_passes(void **state)
{
    (void)state;
    for (unsigned k = NET_KIND_UNSET + 1; k < NET_KIND_COUNT; k++) {
        set_good((enum net_kind)k);
        if (!passes((enum net_kind)k))
            fail_msg("kind %u", k);
    }
}

static void test_a_good_status_alone_is_no_answer(void **state)
{
    (void)state;
    for (unsigned k = NET_KIND_UNSET + 1; k < NET_KIND_COUNT; k++) {
        set_good((enum net_kind)k);
        memset(&a.directory, 0,
               sizeof(a) - offsetof(struct net_answer, directory));
        assert_int_equal(passes((enum net_kind)k),
                         k == NET_KIND_NONCE || k == NET_KIND_KEY_CHANGE);
        a.http_status = 404;
        assert_true(passes((enum net_kind)k));
    }
}

static void test_another_length_or_kind_is_refused(void **state)
{
    size_t head = offsetof(struct net_answer, directory);

    (void)state;
    set_good(NET_KIND_ACCOUNT);
    assert_false(
        net_answer_check(&a, net_answer_len(&a) - 1, NET_KIND_ACCOUNT));
    assert_false(
        net_answer_check(&a, net_answer_len(&a) + 1, NET_KIND_ACCOUNT));
    assert_false(net_answer_check(&a, head, NET_KIND_ACCOUNT));
    assert_false(net_answer_check(&a, 0, NET_KIND_ACCOUNT));
    assert_false(passes(NET_KIND_NONCE));
    assert_false(passes(NET_KIND_ORDER));
    a.http_status = 404;
    assert_true(net_answer_check(&a, head, NET_KIND_ACCOUNT));
    a.kind = UINT32_MAX;
    assert_false(net_answer_check(&a, head, NET_KIND_ACCOUNT));
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
        set_good(NET_KIND_ACCOUNT);
        a.result = cases[i].result;
        a.http_status = cases[i].status;
        if (passes(NET_KIND_ACCOUNT) != cases[i].ok)
            fail_msg("result %u status %u", cases[i].result, cases[i].status);
    }
}

/* Each text must end inside, be printable, and hide nothing behind its end. */
static void test_bad_text_in_any_field_is_refused(void **state)
{
    static const struct {
        enum net_kind kind;
        size_t offset, size;
    } fields[] = {
#define FIELD(kind, name)                                                      \
    { NET_KIND_##kind, offsetof(struct net_answer, name),                      \
      sizeof(((struct net_answer *)0)->name) }
        FIELD(NONCE, text),
        FIELD(NONCE, location),
        FIELD(NONCE, nonce),
        FIELD(NONCE, problem.type),
        FIELD(NONCE, problem.detail),
        FIELD(DIRECTORY, directory.new_nonce),
        FIELD(DIRECTORY, directory.new_account),
        FIELD(DIRECTORY, directory.new_order),
        FIELD(DIRECTORY, directory.new_authz),
        FIELD(DIRECTORY, directory.revoke_cert),
        FIELD(DIRECTORY, directory.key_change),
        FIELD(DIRECTORY, directory.renewal_info),
        FIELD(DIRECTORY, directory.meta.terms),
        FIELD(DIRECTORY, directory.meta.account_hash_prefix),
        FIELD(DIRECTORY, directory.meta.issuers.name[0]),
        FIELD(ACCOUNT, account.status),
        FIELD(ORDER, order.status),
        FIELD(ORDER, order.finalize),
        FIELD(ORDER, order.certificate),
        FIELD(ORDER, order.error.type),
        FIELD(ORDER, order.error.detail),
        FIELD(ORDER, order.authorization[0]),
        FIELD(AUTHZ, authz.status),
        FIELD(AUTHZ, authz.identifier_type),
        FIELD(AUTHZ, authz.identifier),
        FIELD(AUTHZ, authz.offered),
        FIELD(AUTHZ, authz.persist.url),
        FIELD(CHALLENGE, challenge.type),
        FIELD(CHALLENGE, challenge.status),
        FIELD(CHALLENGE, challenge.url),
        FIELD(CHALLENGE, challenge.accounturi),
        FIELD(CHALLENGE, challenge.error.detail),
        FIELD(RENEWAL_INFO, renewal.explanation),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        char *field = (char *)&a + fields[i].offset;
        enum net_kind kind = fields[i].kind;

        set_good(kind);
        memset(field, 'a', fields[i].size - 1);
        if (!passes(kind))
            fail_msg("field %zu is not good", i);
        field[fields[i].size - 1] = 'a';
        assert_false(passes(kind));
        memset(field, 0, fields[i].size);
        field[0] = 'a';
        field[2] = 'a';
        assert_false(passes(kind));
        field[2] = '\0';
        assert_true(passes(kind));
        field[0] = '\x1b';
        assert_false(passes(kind));
    }
}

static void test_flags_and_times_have_their_range(void **state)
{
    (void)state;
    set_good(NET_KIND_DIRECTORY);
    a.directory.meta.caa_identities_unusable = 2;
    assert_false(passes(NET_KIND_DIRECTORY));
    set_good(NET_KIND_DIRECTORY);
    a.directory.meta.needs_external_account = 2;
    assert_false(passes(NET_KIND_DIRECTORY));
    set_good(NET_KIND_AUTHZ);
    a.authz.wildcard = 2;
    assert_false(passes(NET_KIND_AUTHZ));
    set_good(NET_KIND_AUTHZ);
    a.authz.has_persist = 0; /* though there is one */
    assert_false(passes(NET_KIND_AUTHZ));
    set_good(NET_KIND_RENEWAL_INFO);
    a.renewal.end_s = a.renewal.start_s;
    assert_false(passes(NET_KIND_RENEWAL_INFO));
    set_good(NET_KIND_NONCE);
    a.date_s = -1;
    assert_false(passes(NET_KIND_NONCE));
    set_good(NET_KIND_NONCE);
    a.retry_after_s = NET_RETRY_MAX_S;
    assert_true(passes(NET_KIND_NONCE));
    a.retry_after_s++;
    assert_false(passes(NET_KIND_NONCE));
}

static void test_counts_say_how_many_there_are(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 3; n++) {
        set_good(NET_KIND_ORDER);
        a.order.n_authorizations = n;
        assert_int_equal(passes(NET_KIND_ORDER), n == 1);
        set_good(NET_KIND_DIRECTORY);
        a.directory.meta.issuers.n = n;
        assert_int_equal(passes(NET_KIND_DIRECTORY), n == 1);
    }
    set_good(NET_KIND_ORDER);
    a.order.n_authorizations = UINT32_MAX;
    assert_false(passes(NET_KIND_ORDER));
    set_good(NET_KIND_CERTIFICATE);
    a.certificate.n_alternates = 1;
    assert_false(passes(NET_KIND_CERTIFICATE));
    set_good(NET_KIND_ACCOUNT);
    a.account.n_contacts = NET_CONTACTS_MAX + 1;
    assert_false(passes(NET_KIND_ACCOUNT));
}

static void test_a_thumbprint_is_whole_and_of_a_key(void **state)
{
    static const char thp[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    (void)state;
    set_good(NET_KIND_ACCOUNT);
    a.account.names_key = 1;
    assert_true(passes(NET_KIND_ACCOUNT));
    (void)strcpy(a.account.thumbprint, thp);
    assert_true(passes(NET_KIND_ACCOUNT));
    a.account.names_key = 0;
    assert_false(passes(NET_KIND_ACCOUNT));
    a.account.names_key = 1;
    a.account.thumbprint[42] = '\0';
    assert_false(passes(NET_KIND_ACCOUNT));
    a.account.thumbprint[42] = '+';
    assert_false(passes(NET_KIND_ACCOUNT));
}

static void test_a_chain_is_as_long_as_it_says(void **state)
{
    (void)state;
    set_good(NET_KIND_CERTIFICATE);
    a.certificate.pem_len--;
    assert_false(passes(NET_KIND_CERTIFICATE));
    a.certificate.pem_len = UINT32_MAX;
    assert_false(passes(NET_KIND_CERTIFICATE));
    set_good(NET_KIND_CERTIFICATE);
    a.certificate.pem[0] = '+';
    assert_false(passes(NET_KIND_CERTIFICATE));
}

static void test_a_nonce_of_another_alphabet_is_refused(void **state)
{
    (void)state;
    set_good(NET_KIND_ACCOUNT);
    (void)strcpy(a.nonce, "ab\"c");
    assert_false(passes(NET_KIND_ACCOUNT));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_answer_of_each_kind_passes),
        cmocka_unit_test(test_a_good_status_alone_is_no_answer),
        cmocka_unit_test(test_another_length_or_kind_is_refused),
        cmocka_unit_test(test_results_outside_their_range_are_refused),
        cmocka_unit_test(test_bad_text_in_any_field_is_refused),
        cmocka_unit_test(test_flags_and_times_have_their_range),
        cmocka_unit_test(test_counts_say_how_many_there_are),
        cmocka_unit_test(test_a_thumbprint_is_whole_and_of_a_key),
        cmocka_unit_test(test_a_chain_is_as_long_as_it_says),
        cmocka_unit_test(test_a_nonce_of_another_alphabet_is_refused),
        cmocka_unit_test(test_text_is_cut_and_made_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
