/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/softkey.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "pkcs11/evp-signer.h"
#include "pkcs11/signature.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

static int init(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    return secrets_init(false, &e) || softkey_heap_init(1 << 17);
}

struct made {
    struct secret *pkcs8;
    uint8_t spki[TOKEN_SPKI_MAX];
    size_t spki_len;
};

static struct made make(enum token_alg alg, unsigned bits)
{
    struct made m = { 0 };

    assert_int_equal(softkey_generate(alg, bits, &m.pkcs8, m.spki, &m.spki_len),
                     0);
    return m;
}

static struct bytes spki_of(const struct made *m)
{
    return (struct bytes){ m->spki, m->spki_len };
}

static const struct {
    enum token_alg alg;
    unsigned bits;
    size_t len;
} kinds[] = {
    { TOKEN_ALG_ES256, 0, 64 },
    { TOKEN_ALG_ES384, 0, 96 },
    { TOKEN_ALG_RS256, 2048, 256 },
    { TOKEN_ALG_EDDSA, 0, 64 },
};

static void test_signatures_verify_and_have_the_jws_length(void **state)
{
    struct bytes input = bytes_from_str("header.payload");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct made m = make(kinds[i].alg, kinds[i].bits);
        CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
        CLEANUP(EVP_PKEY_free_p) EVP_PKEY *public = NULL;
        CLEANUP_EVP_SIGNER struct evp_signer *s = NULL;

        assert_int_equal(softkey_load(m.pkcs8, spki_of(&m), &key), 0);
        assert_int_equal(signature_alg(key), kinds[i].alg);
        assert_int_equal(evp_signer_new(key, &s), 0);
        assert_int_equal(signature_key(spki_of(&m), &public), 0);
        /* Many from one signer: r and s with leading zeros come up too. */
        for (int n = 0; n < 300; n++) {
            uint8_t sig[TOKEN_SIGNATURE_MAX];
            size_t len;

            if (kinds[i].alg == TOKEN_ALG_RS256 && n == 10)
                break;
            assert_int_equal(evp_signer_sign(s, input, sig, &len), 0);
            assert_int_equal(len, kinds[i].len);
            assert_int_equal(
                signature_verify(public, input, (struct bytes){ sig, len }), 0);
        }
        (void)secret_free(m.pkcs8);
    }
}

static void test_private_numbers_lie_in_the_secure_heap(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct made m = make(kinds[i].alg, kinds[i].bits);
        size_t before = CRYPTO_secure_used();
        EVP_PKEY *key = NULL;

        assert_int_equal(softkey_load(m.pkcs8, spki_of(&m), &key), 0);
        assert_in_range(CRYPTO_secure_used() - before, 32, 4096);
        EVP_PKEY_free(key);
        assert_int_equal(CRYPTO_secure_used(), before);
        (void)secret_free(m.pkcs8);
    }
}

static void test_a_foreign_public_key_is_refused(void **state)
{
    struct made a = make(TOKEN_ALG_ES256, 0);
    struct made b = make(TOKEN_ALG_ES256, 0);
    EVP_PKEY *key = NULL;

    (void)state;
    assert_int_equal(softkey_load(a.pkcs8, spki_of(&b), &key), -EINVAL);
    assert_null(key);
    (void)secret_free(a.pkcs8);
    (void)secret_free(b.pkcs8);
}

static void test_what_is_no_pkcs8_is_refused(void **state)
{
    CLEANUP_SECRET struct secret *junk = NULL;
    struct made a = make(TOKEN_ALG_ES256, 0);
    EVP_PKEY *key = NULL;

    (void)state;
    assert_int_equal(secret_new(a.pkcs8->len + 1, &junk), 0);
    memcpy(junk->data, a.pkcs8->data, a.pkcs8->len);
    junk->data[a.pkcs8->len] = 0;
    assert_int_equal(softkey_load(junk, spki_of(&a), &key), -EINVAL);
    memset(junk->data, 'x', junk->len);
    assert_int_equal(softkey_load(junk, spki_of(&a), &key), -EINVAL);
    (void)secret_free(a.pkcs8);
}

static void test_sizes_that_we_do_not_sign_with_are_refused(void **state)
{
    static const struct {
        enum token_alg alg;
        unsigned bits;
    } rows[] = {
        { TOKEN_ALG_RS256, 1024 },  { TOKEN_ALG_RS256, 2047 },
        { TOKEN_ALG_RS256, 8192 },  { TOKEN_ALG_UNSET, 0 },
        { TOKEN_ALG_EDDSA + 1, 0 },
    };
    struct made m = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(softkey_generate(rows[i].alg, rows[i].bits, &m.pkcs8,
                                          m.spki, &m.spki_len),
                         -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures_verify_and_have_the_jws_length),
        cmocka_unit_test(test_private_numbers_lie_in_the_secure_heap),
        cmocka_unit_test(test_a_foreign_public_key_is_refused),
        cmocka_unit_test(test_what_is_no_pkcs8_is_refused),
        cmocka_unit_test(test_sizes_that_we_do_not_sign_with_are_refused),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
