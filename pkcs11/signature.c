/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/signature.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/x509.h>

#include "base/cleanup.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
#define DER_MAX 128 /* ECDSA-Sig-Value of P-384: at most 104 octets */

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

int signature_key(struct bytes spki, EVP_PKEY **ret)
{
    const uint8_t *p = spki.data;
    EVP_PKEY *key;

    if (spki.len > TOKEN_SPKI_MAX)
        return -EINVAL;
    key = d2i_PUBKEY(NULL, &p, (long)spki.len);
    if (!key || p != spki.data + spki.len) {
        EVP_PKEY_free(key);
        return -EINVAL;
    }
    *ret = key;
    return 0;
}

static enum token_alg ec_alg(const EVP_PKEY *key)
{
    char group[32];
    size_t len;

    if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1)
        return TOKEN_ALG_UNSET;
    if (strcmp(group, "prime256v1") == 0)
        return TOKEN_ALG_ES256;
    if (strcmp(group, "secp384r1") == 0)
        return TOKEN_ALG_ES384;
    return TOKEN_ALG_UNSET;
}

enum token_alg signature_alg(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
        return ec_alg(key);
    case EVP_PKEY_RSA:
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? TOKEN_ALG_RS256
                                                            : TOKEN_ALG_UNSET;
    case EVP_PKEY_ED25519:
        return TOKEN_ALG_EDDSA;
    default:
        return TOKEN_ALG_UNSET;
    }
}

size_t signature_len(const EVP_PKEY *key)
{
    switch (signature_alg(key)) {
    case TOKEN_ALG_ES256:
    case TOKEN_ALG_EDDSA:
        return 64;
    case TOKEN_ALG_ES384:
        return 96;
    case TOKEN_ALG_RS256:
        return (size_t)EVP_PKEY_get_size(key);
    case TOKEN_ALG_UNSET:
    default:
        return 0;
    }
}

size_t signature_spki(const EVP_PKEY *key, uint8_t ret[static TOKEN_SPKI_MAX])
{
    uint8_t *p = ret;
    int len = i2d_PUBKEY(key, NULL);

    if (len <= 0 || len > TOKEN_SPKI_MAX)
        return 0;
    return i2d_PUBKEY(key, &p) == len ? (size_t)len : 0;
}

static int raw_to_der(struct bytes sig, uint8_t ret[static DER_MAX],
                      size_t *ret_len)
{
    CLEANUP(ECDSA_SIG_free_p) ECDSA_SIG *pair = ECDSA_SIG_new();
    int n = (int)sig.len / 2;
    uint8_t *p = ret;
    BIGNUM *r = BN_bin2bn(sig.data, n, NULL);
    BIGNUM *s = BN_bin2bn(sig.data + n, n, NULL);
    int len;

    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return -ENOMEM;
    }
    len = i2d_ECDSA_SIG(pair, NULL);
    if (len <= 0 || len > DER_MAX)
        return -EINVAL;
    *ret_len = (size_t)i2d_ECDSA_SIG(pair, &p);
    return 0;
}

int signature_verify(EVP_PKEY *key, struct bytes input, struct bytes sig)
{
    CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum token_alg alg = signature_alg(key);
    const char *digest = alg == TOKEN_ALG_EDDSA   ? NULL
                         : alg == TOKEN_ALG_ES384 ? "SHA384"
                                                  : "SHA256";
    uint8_t der[DER_MAX];
    int r;

    if (!ctx)
        return -ENOMEM;
    if (alg == TOKEN_ALG_UNSET || sig.len != signature_len(key))
        return SIGNATURE_E_BAD;
    if (alg == TOKEN_ALG_ES256 || alg == TOKEN_ALG_ES384) {
        r = raw_to_der(sig, der, &sig.len);
        if (r)
            return r;
        sig.data = der;
    }
    if (EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) != 1)
        return -EIO;
    return EVP_DigestVerify(ctx, sig.data, sig.len, input.data, input.len) == 1
               ? 0
               : SIGNATURE_E_BAD;
}

int signature_from_der(struct bytes der, size_t n,
                       uint8_t ret[static TOKEN_SIGNATURE_MAX])
{
    CLEANUP(ECDSA_SIG_free_p) ECDSA_SIG *pair = NULL;
    const uint8_t *p = der.data;

    if (der.len > DER_MAX || n > DER_MAX)
        return -EINVAL;
    pair = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
    if (!pair || p != der.data + der.len)
        return -EINVAL;
    if (BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret, (int)n) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret + n, (int)n) < 0)
        return -EINVAL;
    return 0;
}
