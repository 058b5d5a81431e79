/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/softkey.h"

#include <errno.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/rsa.h>

#include "pkcs11/signature.h"

/* The smallest piece that the secure heap gives out. */
#define HEAP_PIECE_MIN 32
#define SECURE_INIT_UNLOCKED 2 /* CRYPTO_secure_malloc_init(3) */

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(OSSL_ENCODER_CTX *, OSSL_ENCODER_CTX_free)
DEFINE_CLEANUP(OSSL_DECODER_CTX *, OSSL_DECODER_CTX_free)

int softkey_heap_init(size_t len)
{
    int done;

    if (CRYPTO_secure_malloc_initialized())
        return 0;
    done = CRYPTO_secure_malloc_init(len, HEAP_PIECE_MIN);
    if (done == 0)
        return -ENOMEM;
    return done == SECURE_INIT_UNLOCKED && secrets_must_be_locked() ? -ENOLCK
                                                                    : 0;
}

static EVP_PKEY *new_key(enum token_alg alg, unsigned rsa_bits)
{
    switch (alg) {
    case TOKEN_ALG_ES256:
        return EVP_EC_gen("P-256");
    case TOKEN_ALG_ES384:
        return EVP_EC_gen("P-384");
    case TOKEN_ALG_RS256:
        return EVP_RSA_gen(rsa_bits);
    case TOKEN_ALG_EDDSA:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case TOKEN_ALG_UNSET:
    default:
        return NULL;
    }
}

/* Through a BIO in the secure heap: i2d functions would leave copies behind. */
static int to_pkcs8(const EVP_PKEY *key, struct secret **ret)
{
    CLEANUP(OSSL_ENCODER_CTX_free_p)
    OSSL_ENCODER_CTX *ctx = OSSL_ENCODER_CTX_new_for_pkey(
        key, EVP_PKEY_KEYPAIR, "DER", "PrivateKeyInfo", NULL);
    CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_secmem());
    char *data;
    long len;

    if (!ctx || !bio)
        return -ENOMEM;
    if (OSSL_ENCODER_to_bio(ctx, bio) != 1)
        return -EIO;
    len = BIO_get_mem_data(bio, &data);
    if (len <= 0 || len > SECRET_MAX)
        return -EIO;
    return secret_new_copy((struct bytes){ (uint8_t *)data, (size_t)len }, ret);
}

int softkey_generate(enum token_alg alg, unsigned rsa_bits,
                     struct secret **ret_pkcs8,
                     uint8_t ret_spki[static TOKEN_SPKI_MAX],
                     size_t *ret_spki_len)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
    uint8_t spki[TOKEN_SPKI_MAX];
    size_t len;
    int r;

    if (alg == TOKEN_ALG_UNSET || alg > TOKEN_ALG_EDDSA ||
        (alg == TOKEN_ALG_RS256 && rsa_bits != 2048 && rsa_bits != 3072 &&
         rsa_bits != 4096))
        return -EINVAL;
    key = new_key(alg, rsa_bits);
    if (!key)
        return -EIO;
    len = signature_spki(key, spki);
    if (len == 0)
        return -EIO;
    r = to_pkcs8(key, ret_pkcs8);
    if (r)
        return r;
    memcpy(ret_spki, spki, len);
    *ret_spki_len = len;
    return 0;
}

int softkey_load(const struct secret *pkcs8, struct bytes spki, EVP_PKEY **ret)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;
    CLEANUP(OSSL_DECODER_CTX_free_p)
    OSSL_DECODER_CTX *ctx = OSSL_DECODER_CTX_new_for_pkey(
        &key, "DER", "PrivateKeyInfo", NULL, EVP_PKEY_KEYPAIR, NULL, NULL);
    const unsigned char *data = pkcs8->data;
    uint8_t own[TOKEN_SPKI_MAX];
    size_t left = pkcs8->len;
    size_t own_len;

    if (!ctx)
        return -ENOMEM;
    if (OSSL_DECODER_from_data(ctx, &data, &left) != 1 || left != 0)
        return -EINVAL;
    own_len = signature_spki(key, own);
    if (!bytes_eq((struct bytes){ own, own_len }, spki))
        return -EINVAL;
    *ret = TAKE_PTR(key);
    return 0;
}
