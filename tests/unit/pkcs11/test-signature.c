/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signatures and the cache of keys, with keys that OpenSSL makes here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <stdio.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "pkcs11/evp-signer.h"
#include "pkcs11/keycache.h"
#include "pkcs11/signature.h"

static EVP_PKEY *make_key(enum token_alg alg)
{
    switch (alg) {
    case TOKEN_ALG_ES256:
        return EVP_EC_gen("P-256");
    case TOKEN_ALG_ES384:
        return EVP_EC_gen("P-384");
    case TOKEN_ALG_RS256:
        return EVP_RSA_gen(2048);
    case TOKEN_ALG_EDDSA:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case TOKEN_ALG_UNSET:
    default:
        return NULL;
    }
}

/* RSA keys take long: one of each for all tests. */
static EVP_PKEY *key_of(enum token_alg alg)
{
    static EVP_PKEY *keys[TOKEN_ALG_EDDSA + 1];

    if (!keys[alg])
        keys[alg] = make_key(alg);
    EVP_PKEY_up_ref(keys[alg]);
    return keys[alg];
}

static const struct {
    enum token_alg alg;
    size_t len;
} rows[] = {
    { TOKEN_ALG_ES256, 64 },
    { TOKEN_ALG_ES384, 96 },
    { TOKEN_ALG_RS256, 256 },
    { TOKEN_ALG_EDDSA, 64 },
};

static void test_every_changed_bit_is_seen(void **state)
{
    struct bytes input = bytes_from_str("what is signed");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_EVP_SIGNER struct evp_signer *signer = NULL;
        EVP_PKEY *key = key_of(rows[i].alg);
        uint8_t sig[TOKEN_SIGNATURE_MAX];
        size_t len = 0;

        assert_int_equal(signature_alg(key), rows[i].alg);
        assert_int_equal(signature_len(key), rows[i].len);
        assert_int_equal(evp_signer_new(key, &signer), 0);
        assert_int_equal(evp_signer_sign(signer, input, sig, &len), 0);
        assert_int_equal(len, rows[i].len);
        assert_int_equal(
            signature_verify(key, input, (struct bytes){ sig, len }), 0);
        assert_int_equal(signature_verify(key, bytes_from_str("else"),
                                          (struct bytes){ sig, len }),
                         SIGNATURE_E_BAD);
        assert_int_equal(
            signature_verify(key, input, (struct bytes){ sig, len - 1 }),
            SIGNATURE_E_BAD);
        for (size_t at = 0; at < len; at += 13) {
            sig[at] ^= 0x10;
            assert_int_equal(
                signature_verify(key, input, (struct bytes){ sig, len }),
                SIGNATURE_E_BAD);
            sig[at] ^= 0x10;
        }
        EVP_PKEY_free(key);
    }
}

static void test_public_keys_come_and_go_as_der(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EVP_PKEY *key = key_of(rows[i].alg);
        EVP_PKEY *pub = NULL;
        uint8_t der[TOKEN_SPKI_MAX];
        size_t len = signature_spki(key, der);

        assert_int_not_equal(len, 0);
        assert_int_equal(signature_key((struct bytes){ der, len }, &pub), 0);
        assert_int_equal(EVP_PKEY_eq(key, pub), 1);
        EVP_PKEY_free(pub);
        assert_int_not_equal(
            signature_key((struct bytes){ der, len - 1 }, &pub), 0);
        der[0] ^= 1;
        assert_int_not_equal(signature_key((struct bytes){ der, len }, &pub),
                             0);
        EVP_PKEY_free(key);
    }
}

static void test_other_keys_do_not_sign(void **state)
{
    EVP_PKEY *keys[] = { EVP_EC_gen("P-521"), EVP_EC_gen("secp256k1"),
                         EVP_RSA_gen(1024),
                         EVP_PKEY_Q_keygen(NULL, NULL, "ED448"),
                         EVP_PKEY_Q_keygen(NULL, NULL, "X25519") };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_non_null(keys[i]);
        assert_int_equal(signature_alg(keys[i]), TOKEN_ALG_UNSET);
        assert_int_equal(signature_len(keys[i]), 0);
        EVP_PKEY_free(keys[i]);
    }
}

static void test_ecdsa_der_becomes_fixed_halves(void **state)
{
    const uint8_t der[] = {
        0x30, 0x07, 0x02, 0x01, 0x05, 0x02, 0x02, 0x00, 0x80
    };
    uint8_t raw[TOKEN_SIGNATURE_MAX];
    uint8_t want[64] = { [31] = 0x05, [63] = 0x80 };

    (void)state;
    assert_int_equal(
        signature_from_der((struct bytes){ der, sizeof(der) }, 32, raw), 0);
    assert_memory_equal(raw, want, 64);
    assert_int_not_equal(
        signature_from_der((struct bytes){ der, sizeof(der) - 1 }, 32, raw), 0);
    /* Too large a number for its half. */
    assert_int_equal(
        signature_from_der((struct bytes){ der, sizeof(der) }, 1, raw), 0);
    assert_int_not_equal(
        signature_from_der((struct bytes){ der, sizeof(der) }, 0, raw), 0);
}

static struct backend_key backend_key(const char *label, enum token_alg alg)
{
    struct backend_key key = { .handle = 5 };
    EVP_PKEY *pkey = key_of(alg);

    strcpy(key.key.label, label);
    key.key.alg = alg;
    key.key.spki_len = (uint32_t)signature_spki(pkey, key.key.spki);
    EVP_PKEY_free(pkey);
    return key;
}

static void test_the_cache_forgets_with_every_change(void **state)
{
    struct backend_key key = backend_key("k", TOKEN_ALG_ES256);
    struct keycache cache = { 0 };
    struct keycache_entry *e = NULL;
    struct backend_error err;

    (void)state;
    assert_null(keycache_get(&cache, "k", 0));
    assert_int_equal(keycache_put(&cache, &key, &e, &err), TOKEN_S_OK);
    assert_ptr_equal(keycache_get(&cache, "k", 0), e);
    assert_null(keycache_get(&cache, "kk", 0));
    assert_int_equal(e->sig_len, 64);
    assert_false(e->proven);
    assert_null(keycache_get(&cache, "k", 1));
    assert_null(keycache_get(&cache, "k", 1));
    assert_int_equal(keycache_put(&cache, &key, &e, &err), TOKEN_S_OK);
    keycache_clear(&cache);
    assert_null(keycache_get(&cache, "k", 1));
}

static void test_the_cache_holds_many(void **state)
{
    struct backend_key key = backend_key("", TOKEN_ALG_ES256);
    struct keycache cache = { 0 };
    struct keycache_entry *e = NULL;
    struct backend_error err;

    (void)state;
    for (int i = 0; i < 2 * KEYCACHE_SLOTS; i++) {
        snprintf(key.key.label, sizeof(key.key.label), "key-%d", i);
        assert_int_equal(keycache_put(&cache, &key, &e, &err), TOKEN_S_OK);
        assert_ptr_equal(keycache_get(&cache, key.key.label, 0), e);
        assert_string_equal(e->key.key.label, key.key.label);
    }
    keycache_clear(&cache);
}

static void test_keys_without_a_usable_public_half_are_unfit(void **state)
{
    struct backend_key key = backend_key("k", TOKEN_ALG_ES256);
    struct keycache cache = { 0 };
    struct keycache_entry *e = NULL;
    struct backend_error err;

    (void)state;
    key.key.alg = TOKEN_ALG_ES384;
    assert_int_equal(keycache_put(&cache, &key, &e, &err), TOKEN_S_KEY_UNFIT);
    key.key.alg = TOKEN_ALG_ES256;
    key.key.spki_len--;
    assert_int_equal(keycache_put(&cache, &key, &e, &err), TOKEN_S_KEY_UNFIT);
    assert_null(keycache_get(&cache, "k", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_changed_bit_is_seen),
        cmocka_unit_test(test_public_keys_come_and_go_as_der),
        cmocka_unit_test(test_other_keys_do_not_sign),
        cmocka_unit_test(test_ecdsa_der_becomes_fixed_halves),
        cmocka_unit_test(test_the_cache_forgets_with_every_change),
        cmocka_unit_test(test_the_cache_holds_many),
        cmocka_unit_test(test_keys_without_a_usable_public_half_are_unfit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
