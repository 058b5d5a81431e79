/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "acme/evp-key.h"
#include "client-shim/stub.h"

#define LONGEST_SOCKET                                                         \
    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct stub example(EVP_PKEY *key)
{
    struct stub s = { .socket = "/run/acme-guardian/client.sock",
                      .account = "letsencrypt" };

    assert_non_null(key);
    assert_int_equal(evp_key_to_jwk(key, &s.key), 0);
    EVP_PKEY_free(key);
    return s;
}

static void format(const struct stub *s, struct buf *ret)
{
    struct errmsg e = { 0 };

    if (stub_format(s, ret, &e) != 0)
        fail_msg("%s", e.text);
}

static void encode(const struct stub *s, struct buf *ret)
{
    struct errmsg e = { 0 };

    if (stub_encode(s, ret, &e) != 0)
        fail_msg("%s", e.text);
}

static void assert_same(const struct stub *a, const struct stub *b)
{
    assert_string_equal(a->socket, b->socket);
    assert_string_equal(a->account, b->account);
    assert_true(jwk_eq(&a->key, &b->key));
}

/* The key types that clients have, and names as long as they may be. */
static void test_what_is_written_is_read(void **state)
{
    struct stub stubs[] = {
        example(EVP_EC_gen("P-256")),
        example(EVP_EC_gen("P-384")),
        example(EVP_RSA_gen(2048)),
        example(EVP_RSA_gen(4096)),
    };

    (void)state;
    assert_true(strlen(LONGEST_SOCKET) == STUB_SOCKET_MAX);
    strcpy(stubs[1].socket, LONGEST_SOCKET);
    strcpy(stubs[1].account, "abcdefghijklmnopqrstuvwxyz012345");
    for (size_t i = 0; i < ARRAY_LEN(stubs); i++) {
        CLEANUP_BUF struct buf text = { 0 };
        CLEANUP_BUF struct buf der = { 0 };
        struct stub again = { 0 };

        format(&stubs[i], &text);
        assert_memory_equal(text.data, "-----BEGIN ACME GUARDIAN ACCOUNT-----",
                            37);
        assert_int_equal(stub_parse(buf_bytes(&text), &again, NULL), 0);
        assert_same(&again, &stubs[i]);
        encode(&stubs[i], &der);
        assert_true(der.len <= STUB_DER_MAX);
        again = (struct stub){ 0 };
        assert_int_equal(stub_decode(buf_bytes(&der), &again, NULL), 0);
        assert_same(&again, &stubs[i]);
    }
}

/* The key is the one that other programs would write. */
static void test_the_key_is_an_ordinary_public_key(void **state)
{
    struct stub stubs[] = { example(EVP_EC_gen("P-256")),
                            example(EVP_EC_gen("P-384")),
                            example(EVP_RSA_gen(3072)) };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(stubs); i++) {
        CLEANUP_BUF struct buf der = { 0 };
        CLEANUP_BUF struct buf spki = { 0 };

        encode(&stubs[i], &der);
        assert_int_equal(jwk_to_spki(&stubs[i].key, &spki), 0);
        assert_true(der.len > spki.len);
        assert_memory_equal(der.data + der.len - spki.len, spki.data, spki.len);
    }
}

/* Editors and people add comments and carriage returns. */
static void test_what_stands_around_it_does_not_matter(void **state)
{
    struct stub s = example(EVP_EC_gen("P-256"));
    CLEANUP_BUF struct buf text = { 0 };
    CLEANUP_BUF struct buf crlf = { 0 };
    struct stub again;

    (void)state;
    assert_int_equal(buf_append_str(&text, "# not a key\n-----BEGIN X-----\n"),
                     0);
    format(&s, &text);
    assert_int_equal(buf_append_str(&text, "\ntrailing\n"), 0);
    assert_int_equal(stub_parse(buf_bytes(&text), &again, NULL), 0);
    assert_same(&again, &s);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            assert_int_equal(buf_append_char(&crlf, '\r'), 0);
        assert_int_equal(buf_append_char(&crlf, (char)text.data[i]), 0);
    }
    assert_int_equal(stub_parse(buf_bytes(&crlf), &again, NULL), 0);
    assert_same(&again, &s);
}

static void test_files_without_a_stub(void **state)
{
    static const char *const texts[] = {
        "",
        "x",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "x-----BEGIN ACME GUARDIAN ACCOUNT-----\n",
        "-----BEGIN ACME GUARDIAN ACCOUNTS-----\n",
        "ACME GUARDIAN ACCOUNT\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct stub s;

        assert_int_equal(stub_parse(bytes_from_str(texts[i]), &s, NULL),
                         STUB_E_NONE);
    }
}

static void assert_invalid(int r, const struct errmsg *e, const char *words)
{
    assert_int_equal(r, STUB_E_INVALID);
    if (!strstr(e->text, words))
        fail_msg("%s, not %s", words, e->text);
}

/* At every length but the whole. */
static void test_what_is_cut_short(void **state)
{
    struct stub s = example(EVP_EC_gen("P-256"));
    CLEANUP_BUF struct buf text = { 0 };
    CLEANUP_BUF struct buf der = { 0 };
    struct errmsg e;
    struct stub again;

    (void)state;
    format(&s, &text);
    /* The last line's end is not missed. */
    for (size_t len = 37; len < text.len - 1; len++) {
        assert_invalid(stub_parse((struct bytes){ text.data, len }, &again, &e),
                       &e, "cut short");
    }
    encode(&s, &der);
    for (size_t len = 0; len < der.len; len++)
        assert_invalid(stub_decode((struct bytes){ der.data, len }, &again, &e),
                       &e, "stub");
}

/* Whatever is changed, what is read says exactly what the octets say. */
static void test_every_octet_counts(void **state)
{
    struct stub s = example(EVP_EC_gen("P-256"));
    CLEANUP_BUF struct buf der = { 0 };

    (void)state;
    encode(&s, &der);
    for (size_t i = 0; i < der.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            CLEANUP_BUF struct buf back = { 0 };
            struct stub again;

            der.data[i] ^= (uint8_t)(1u << bit);
            if (stub_decode(buf_bytes(&der), &again, NULL) == 0) {
                encode(&again, &back);
                assert_true(bytes_eq(buf_bytes(&back), buf_bytes(&der)));
            }
            der.data[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void test_another_version(void **state)
{
    static const uint8_t later[] = { 0x30, 0x07, 0x02, 0x01, 0x02,
                                     0x0c, 0x02, 'h',  'i' };
    static const uint8_t huge[] = { 0x30, 0x0b, 0x02, 0x09, 1, 0, 0,
                                    0,    0,    0,    0,    0, 1 };
    struct stub s = example(EVP_EC_gen("P-256"));
    CLEANUP_BUF struct buf der = { 0 };
    struct errmsg e;

    (void)state;
    assert_invalid(stub_decode((struct bytes){ later, sizeof(later) }, &s, &e),
                   &e, "another version than 1");
    assert_invalid(stub_decode((struct bytes){ huge, sizeof(huge) }, &s, &e),
                   &e, "another version than 1");
    encode(&s, &der);
    assert_int_equal(der.data[5], STUB_VERSION);
    der.data[5] = 0;
    assert_invalid(stub_decode(buf_bytes(&der), &s, &e), &e,
                   "another version than 1");
}

static void test_what_is_too_large(void **state)
{
    static uint8_t zeros[STUB_DER_MAX + 1];
    struct stub s = example(EVP_EC_gen("P-256"));
    CLEANUP_BUF struct buf text = { 0 };
    struct errmsg e;

    (void)state;
    assert_invalid(stub_decode((struct bytes){ zeros, sizeof(zeros) }, &s, &e),
                   &e, "larger");
    format(&s, &text);
    while (text.len <= STUB_TEXT_MAX)
        assert_int_equal(buf_append_str(&text, "more\n"), 0);
    assert_invalid(stub_parse(buf_bytes(&text), &s, &e), &e, "larger");
}

/* Neither written nor, where the DER can say it, read. */
static void test_what_no_stub_says(void **state)
{
    struct stub good = example(EVP_EC_gen("P-256"));
    struct stub cases[10];
    struct errmsg e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cases[i] = good;
    strcpy(cases[0].socket, "run/client.sock");
    strcpy(cases[1].socket, "");
    strcpy(cases[2].socket, "/run/\033[2Jx");
    strcpy(cases[3].socket, "/run/\xff");
    strcpy(cases[4].account, "");
    strcpy(cases[5].account, "Upper");
    strcpy(cases[6].account, "a/b");
    cases[7].key.x[0] ^= 1;
    cases[8].key = (struct jwk){ .type = JWK_TYPE_ED25519 };
    cases[9].key = (struct jwk){
        .type = JWK_TYPE_RSA, .n = { 1, 1 }, .n_len = 2, .e = { 3 }, .e_len = 1
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf b = { 0 };

        assert_invalid(stub_encode(&cases[i], &b, &e), &e, "the stub's");
        assert_int_equal(b.len, 0);
    }
}

static void flip(struct buf *der, size_t from_end, uint8_t bits)
{
    der->data[der->len - from_end] ^= bits;
}

static void test_keys_that_are_none(void **state)
{
    struct stub ec = example(EVP_EC_gen("P-256"));
    struct stub rsa = example(EVP_RSA_gen(2048));
    CLEANUP_BUF struct buf der = { 0 };
    struct errmsg e;
    struct stub s;

    (void)state;
    encode(&ec, &der);
    flip(&der, 1, 1);
    assert_invalid(stub_decode(buf_bytes(&der), &s, &e), &e, "public key");
    flip(&der, 1, 1);
    flip(&der, 65, 0x06); /* 04 -> 02: a compressed point */
    assert_invalid(stub_decode(buf_bytes(&der), &s, &e), &e, "content");
    buf_clear(&der);
    encode(&rsa, &der);
    flip(&der, 6, 1); /* the modulus's last octet */
    assert_invalid(stub_decode(buf_bytes(&der), &s, &e), &e, "public key");
}

/* The same values with a length of two octets: BER, and no second DER. */
static void test_one_stub_has_one_encoding(void **state)
{
    struct stub s = example(EVP_EC_gen("P-256"));
    CLEANUP_BUF struct buf der = { 0 };
    CLEANUP_BUF struct buf ber = { 0 };
    static const uint8_t head[] = { 0x30, 0x82, 0x00 };
    struct errmsg e;

    (void)state;
    encode(&s, &der);
    assert_int_equal(der.data[1], 0x81);
    assert_int_equal(buf_append(&ber, head, sizeof(head)), 0);
    assert_int_equal(buf_append(&ber, der.data + 2, der.len - 2), 0);
    assert_invalid(stub_decode(buf_bytes(&ber), &s, &e), &e, "content");
    assert_int_equal(buf_append_char(&der, 0), 0);
    assert_invalid(stub_decode(buf_bytes(&der), &s, &e), &e, "content");
}

static void test_the_error_queue_is_left_alone(void **state)
{
    struct stub s = example(EVP_EC_gen("P-256"));
    CLEANUP_BUF struct buf text = { 0 };

    (void)state;
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 77);
    format(&s, &text);
    assert_int_equal(stub_parse(buf_bytes(&text), &s, NULL), 0);
    text.data[60] = '*';
    assert_int_equal(stub_parse(buf_bytes(&text), &s, NULL), STUB_E_INVALID);
    assert_int_equal(stub_decode((struct bytes){ text.data, 5 }, &s, NULL),
                     STUB_E_INVALID);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 77);
    assert_int_equal(ERR_get_error(), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_the_key_is_an_ordinary_public_key),
        cmocka_unit_test(test_what_stands_around_it_does_not_matter),
        cmocka_unit_test(test_files_without_a_stub),
        cmocka_unit_test(test_what_is_cut_short),
        cmocka_unit_test(test_every_octet_counts),
        cmocka_unit_test(test_another_version),
        cmocka_unit_test(test_what_is_too_large),
        cmocka_unit_test(test_what_no_stub_says),
        cmocka_unit_test(test_keys_that_are_none),
        cmocka_unit_test(test_one_stub_has_one_encoding),
        cmocka_unit_test(test_the_error_queue_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
