/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/evp-signer.h"

#include <errno.h>
#include <string.h>

#include <openssl/rsa.h>

#include "pkcs11/signature.h"

struct evp_signer {
    EVP_PKEY *key;
    enum token_alg alg;
    size_t coordinate; /* octets of r and of s; 0: no ECDSA */
    EVP_MD *md;        /* NULL: EdDSA hashes for itself */
    EVP_MD_CTX *hash;
    EVP_PKEY_CTX *ctx; /* ready to sign digests; NULL: EdDSA */
};

struct evp_signer *evp_signer_free(struct evp_signer *s)
{
    if (!s)
        return NULL;
    EVP_PKEY_CTX_free(s->ctx);
    EVP_MD_CTX_free(s->hash);
    EVP_MD_free(s->md);
    EVP_PKEY_free(s->key);
    free(s);
    return NULL;
}

static int prepare_digest_signing(struct evp_signer *s)
{
    s->md = EVP_MD_fetch(NULL, s->alg == TOKEN_ALG_ES384 ? "SHA384" : "SHA256",
                         NULL);
    s->ctx = EVP_PKEY_CTX_new(s->key, NULL);
    if (!s->md || !s->ctx)
        return -ENOMEM;
    if (EVP_PKEY_sign_init(s->ctx) != 1)
        return -EIO;
    if (s->alg == TOKEN_ALG_RS256 &&
        EVP_PKEY_CTX_set_rsa_padding(s->ctx, RSA_PKCS1_PADDING) != 1)
        return -EIO;
    return EVP_PKEY_CTX_set_signature_md(s->ctx, s->md) == 1 ? 0 : -EIO;
}

int evp_signer_new(EVP_PKEY *key, struct evp_signer **ret)
{
    CLEANUP_EVP_SIGNER struct evp_signer *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    s->alg = signature_alg(key);
    if (s->alg == TOKEN_ALG_UNSET)
        return -EINVAL;
    if (s->alg == TOKEN_ALG_ES256 || s->alg == TOKEN_ALG_ES384)
        s->coordinate = s->alg == TOKEN_ALG_ES256 ? 32 : 48;
    s->hash = EVP_MD_CTX_new();
    if (!s->hash || EVP_PKEY_up_ref(key) != 1)
        return -ENOMEM;
    s->key = key;
    if (s->alg != TOKEN_ALG_EDDSA) {
        r = prepare_digest_signing(s);
        if (r)
            return r;
    }
    *ret = TAKE_PTR(s);
    return 0;
}

static int sign_whole(struct evp_signer *s, struct bytes input, uint8_t *ret,
                      size_t *ret_len)
{
    *ret_len = TOKEN_SIGNATURE_MAX;
    if (EVP_MD_CTX_reset(s->hash) != 1 ||
        EVP_DigestSignInit_ex(s->hash, NULL, NULL, NULL, NULL, s->key, NULL) !=
            1)
        return -EIO;
    return EVP_DigestSign(s->hash, ret, ret_len, input.data, input.len) == 1
               ? 0
               : -EIO;
}

int evp_signer_sign(struct evp_signer *s, struct bytes input,
                    uint8_t ret[static TOKEN_SIGNATURE_MAX], size_t *ret_len)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    uint8_t sig[TOKEN_SIGNATURE_MAX];
    size_t len = sizeof(sig);
    unsigned digest_len;

    if (s->alg == TOKEN_ALG_EDDSA)
        return sign_whole(s, input, ret, ret_len);
    if (EVP_DigestInit_ex2(s->hash, s->md, NULL) != 1 ||
        EVP_DigestUpdate(s->hash, input.data, input.len) != 1 ||
        EVP_DigestFinal_ex(s->hash, digest, &digest_len) != 1 ||
        EVP_PKEY_sign(s->ctx, sig, &len, digest, digest_len) != 1)
        return -EIO;
    if (s->coordinate == 0) {
        memcpy(ret, sig, len);
        *ret_len = len;
        return 0;
    }
    if (signature_from_der((struct bytes){ sig, len }, s->coordinate, ret))
        return -EIO;
    *ret_len = 2 * s->coordinate;
    return 0;
}

const EVP_PKEY *evp_signer_key(const struct evp_signer *s)
{
    return s->key;
}
