/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/outside-key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static const struct {
    enum jws_alg alg;
    unsigned bits;
    size_t signature_len;
} kinds[] = {
    { JWS_ALG_ES256, 0, 64 },
    { JWS_ALG_ES384, 0, 96 },
    { JWS_ALG_RS256, 2048, 256 },
    { JWS_ALG_EDDSA, 0, 64 },
};

static int init(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    outside_key_wipe_frees();
    return secrets_init(true, &e) || outside_key_init(&e);
}

static int parse_bytes(const void *data, size_t len, struct outside_key **ret,
                       struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *s = NULL;

    assert_int_equal(secret_new_copy((struct bytes){ data, len }, &s), 0);
    return outside_key_parse(s, ret, reterr);
}

static int parse(const char *text, struct outside_key **ret,
                 struct errmsg *reterr)
{
    return parse_bytes(text, strlen(text), ret, reterr);
}

static void refused(const char *text, int error, const char *says)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(parse(text, &key, &e), error);
    assert_null(key);
    if (!strstr(e.text, says))
        fail_msg("%s: not %s", e.text, says);
}

static void test_each_kind_is_written_and_read_in_each_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;

        assert_int_equal(outside_key_new(kinds[i].alg, kinds[i].bits, &key), 0);
        assert_int_equal(jwk_alg(outside_key_public(key)), kinds[i].alg);
        for (int form = OUTSIDE_KEY_PEM; form <= OUTSIDE_KEY_JWK; form++) {
            CLEANUP_OUTSIDE_KEY struct outside_key *again = NULL;
            CLEANUP_SECRET struct secret *file = NULL;

            assert_int_equal(
                outside_key_format(key, (enum outside_key_form)form, &file), 0);
            assert_int_equal(outside_key_parse(file, &again, NULL), 0);
            assert_true(
                jwk_eq(outside_key_public(key), outside_key_public(again)));
        }
    }
}

static void test_a_signature_is_as_jws_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
        CLEANUP_BUF struct buf sig = { 0 };

        assert_int_equal(outside_key_new(kinds[i].alg, kinds[i].bits, &key), 0);
        assert_int_equal(outside_key_sign_parts(key, "aGVhZA", "cGF5", &sig),
                         0);
        assert_int_equal(sig.len, kinds[i].signature_len);
        assert_int_equal(jws_verify(outside_key_public(key),
                                    bytes_from_str("aGVhZA.cGF5"),
                                    buf_bytes(&sig)),
                         0);
    }
}

static void test_what_no_token_makes_is_not_made(void **state)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;

    (void)state;
    assert_int_equal(outside_key_new(JWS_ALG_RS256, 1024, &key), -EINVAL);
    assert_int_equal(outside_key_new(JWS_ALG_ES256, 2048, &key), -EINVAL);
    assert_int_equal(outside_key_new(JWS_ALG_UNSET, 0, &key), -EINVAL);
    assert_null(key);
}

/* RFC 8037 appendix A.1, thumbprint of A.3; in the order of other writers. */
static void test_a_jwk_of_rfc_8037(void **state)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    char thumbprint[JWK_THP_TEXT_LEN + 1];

    (void)state;
    assert_int_equal(
        parse(" {\"kid\": \"x\", \"d\": "
              "\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
              "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
              "\"crv\":\"Ed25519\",\"kty\":\"OKP\"}\n",
              &key, NULL),
        0);
    assert_int_equal(jwk_thumbprint_text(outside_key_public(key), thumbprint),
                     0);
    assert_string_equal(thumbprint,
                        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

/* RFC 7517 appendix A.2, whose x is then that of another point. */
#define EC_D "\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\""
#define EC_Y "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define EC_X "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\""

static void test_a_jwk_of_rfc_7517(void **state)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    static const char *const wrong[] = {
        /* another private number */
        "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y
        ",\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAA\"}",
        /* a coordinate too short, and public alone */
        "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"4Etl\"," EC_D "}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y "}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y "," EC_D "," EC_D
        "}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\"," EC_X "," EC_Y "," EC_D "}",
        "{\"kty\":\"EC\",\"crv\":7," EC_X "," EC_Y "," EC_D "}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{}",
        "{\"kty\":",
        "{\"a\":[[[[[[[[[[]]]]]]]]]]}",
    };

    (void)state;
    assert_int_equal(parse("{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y
                           "," EC_D "}",
                           &key, NULL),
                     0);
    assert_int_equal(outside_key_public(key)->type, JWK_TYPE_P256);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        refused(wrong[i], OUTSIDE_KEY_E_INVALID, "");
}

static void pem_of(EVP_PKEY *key, bool private, const EVP_CIPHER *cipher,
                   char text[static 4096])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len;

    assert_non_null(key);
    assert_int_equal(private ? PEM_write_bio_PKCS8PrivateKey(
                                   bio, key, cipher, cipher ? "secret" : NULL,
                                   cipher ? 6 : 0, NULL, NULL)
                             : PEM_write_bio_PUBKEY(bio, key),
                     1);
    len = BIO_get_mem_data(bio, &data);
    assert_in_range(len, 1, 4095);
    memcpy(text, data, (size_t)len);
    text[len] = '\0';
    BIO_free(bio);
}

static void test_what_is_no_key_of_an_account(void **state)
{
    EVP_PKEY *p521 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
    EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    EVP_PKEY *p256 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    char text[4096];

    (void)state;
    pem_of(p521, true, NULL, text);
    refused(text, OUTSIDE_KEY_E_UNSUPPORTED, "no account has");
    pem_of(small, true, NULL, text);
    refused(text, OUTSIDE_KEY_E_UNSUPPORTED, "no account has");
    pem_of(p256, true, EVP_aes_256_cbc(), text);
    refused(text, OUTSIDE_KEY_E_ENCRYPTED, "without a passphrase");
    pem_of(p256, false, NULL, text);
    refused(text, OUTSIDE_KEY_E_INVALID, "no private key");
    pem_of(p256, true, NULL, text);
    text[strlen(text) / 2] = '\0';
    refused(text, OUTSIDE_KEY_E_INVALID, "no private key");
    refused("", OUTSIDE_KEY_E_INVALID, "empty");
    refused("hello", OUTSIDE_KEY_E_INVALID, "no private key");
    EVP_PKEY_free(p521);
    EVP_PKEY_free(small);
    EVP_PKEY_free(p256);
}

/* What other programs write before and after the key does no harm. */
static void test_traditional_pem_with_parameters(void **state)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    EVP_PKEY *p256 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len;

    (void)state;
    BIO_puts(bio, "Comment\n-----BEGIN EC PARAMETERS-----\n"
                  "BggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n");
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, p256, NULL, NULL,
                                                          0, NULL, NULL),
                     1);
    len = BIO_get_mem_data(bio, &data);
    assert_int_equal(parse_bytes(data, (size_t)len, &key, NULL), 0);
    BIO_free(bio);
    EVP_PKEY_free(p256);
}

static void test_der_with_something_behind_it(void **state)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    CLEANUP_OUTSIDE_KEY struct outside_key *again = NULL;
    CLEANUP_SECRET struct secret *der = NULL;
    uint8_t more[4096];

    (void)state;
    assert_int_equal(outside_key_new(JWS_ALG_ES256, 0, &key), 0);
    assert_int_equal(outside_key_format(key, OUTSIDE_KEY_DER, &der), 0);
    memcpy(more, der->data, der->len);
    more[der->len] = 0;
    assert_int_equal(parse_bytes(more, der->len, &again, NULL), 0);
    again = outside_key_free(again);
    assert_int_equal(parse_bytes(more, der->len + 1, &again, NULL),
                     OUTSIDE_KEY_E_INVALID);
    assert_null(again);
}

/* ---- nothing is left behind ---- */

#define PIECE 24
#define PAGE 4096
#define REGION_MAX                                                             \
    ((uintptr_t)64 * 1024 * 1024) /* a sanitizer's are larger                  \
                                   */

/* Masked, so as not to find itself. */
struct needle {
    uint8_t masked[PIECE];
};

static struct needle needle_of(const uint8_t *octets)
{
    struct needle n;

    for (size_t i = 0; i < PIECE; i++)
        n.masked[i] = octets[i] ^ 0xa5;
    return n;
}

static bool is_there(const struct needle *n, const uint8_t *p, bool reversed)
{
    for (size_t i = 0; i < PIECE; i++) {
        if ((p[reversed ? PIECE - 1 - i : i] ^ 0xa5) != n->masked[i])
            return false;
    }
    return true;
}

static unsigned count_in(const struct needle *n, uintptr_t from, uintptr_t to)
{
    static uint8_t page[PAGE + PIECE];
    unsigned count = 0;

    for (; from < to; from += PAGE) {
        struct iovec here = { page, sizeof(page) };
        struct iovec there = { (void *)from, sizeof(page) };
        ssize_t got;

        if (from + PAGE == to)
            there.iov_len = PAGE;
        got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
        for (ssize_t i = 0; i + PIECE <= got; i++) {
            if (is_there(n, page + i, false) || is_there(n, page + i, true))
                count++;
        }
        OPENSSL_cleanse(page, sizeof(page));
    }
    return count;
}

/* What can be written: the rest is files. */
static unsigned count_in_memory(const struct needle *n)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned count = 0;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        uintptr_t from, to;
        char mode[5];

        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 &&
            strncmp(mode, "rw", 2) == 0 && to - from <= REGION_MAX)
            count += count_in(n, from, to);
    }
    (void)fclose(maps);
    return count;
}

/* Where private octets are in PKCS#8. */
static size_t private_at(enum jws_alg alg, size_t len)
{
    return alg == JWS_ALG_RS256 ? len - 300 : alg == JWS_ALG_EDDSA ? 20 : 40;
}

static void check_nothing_stays(enum jws_alg alg, unsigned bits, int form)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    CLEANUP_SECRET struct secret *file = NULL;
    CLEANUP_SECRET struct secret *der = NULL;
    struct needle n;

    assert_int_equal(outside_key_new(alg, bits, &key), 0);
    assert_int_equal(outside_key_format(key, OUTSIDE_KEY_DER, &der), 0);
    n = needle_of(der->data + private_at(alg, der->len));
    assert_true(count_in_memory(&n) > 0); /* it is found where it is */
    assert_int_equal(
        outside_key_format(key, (enum outside_key_form)form, &file), 0);
    key = outside_key_free(key);
    der = secret_free(der);
    assert_int_equal(outside_key_parse(file, &key, NULL), 0);
    key = outside_key_free(key);
    file = secret_free(file);
    if (count_in_memory(&n) != 0)
        fail_msg("%s, form %d: octets of the key are still in memory",
                 jws_alg_name(alg), form);
}

static void test_a_key_that_is_freed_is_nowhere_any_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        for (int form = OUTSIDE_KEY_PEM; form <= OUTSIDE_KEY_JWK; form++)
            check_nothing_stays(kinds[i].alg, kinds[i].bits, form);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_is_written_and_read_in_each_form),
        cmocka_unit_test(test_a_signature_is_as_jws_has_it),
        cmocka_unit_test(test_what_no_token_makes_is_not_made),
        cmocka_unit_test(test_a_jwk_of_rfc_8037),
        cmocka_unit_test(test_a_jwk_of_rfc_7517),
        cmocka_unit_test(test_what_is_no_key_of_an_account),
        cmocka_unit_test(test_traditional_pem_with_parameters),
        cmocka_unit_test(test_der_with_something_behind_it),
        cmocka_unit_test(test_a_key_that_is_freed_is_nowhere_any_more),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
