/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/evp-key.h"

#include <errno.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <sodium.h>

#define P256_GROUP "prime256v1"
#define P384_GROUP "secp384r1"

static void bn_free_p(BIGNUM **n)
{
    BN_free(*n);
}

static void params_free_p(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}

static void param_bld_free_p(OSSL_PARAM_BLD **bld)
{
    OSSL_PARAM_BLD_free(*bld);
}

static void pkey_ctx_free_p(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

int evp_key_error(void)
{
    bool oom = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;

    ERR_clear_error();
    return oom ? -ENOMEM : EVP_KEY_E_INVALID;
}

static int evp_key_from_params(const char *type, OSSL_PARAM *params,
                               EVP_PKEY **ret)
{
    CLEANUP(pkey_ctx_free_p)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    CLEANUP_EVP_KEY EVP_PKEY *key = NULL;

    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return evp_key_error();
    *ret = TAKE_PTR(key);
    return 0;
}

static int evp_key_check_point(EVP_PKEY *key)
{
    CLEANUP(pkey_ctx_free_p)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

    if (!ctx || EVP_PKEY_public_check(ctx) != 1)
        return evp_key_error();
    return 0;
}

static int evp_key_from_ec(const struct jwk *jwk, EVP_PKEY **ret)
{
    char p256[] = P256_GROUP;
    char p384[] = P384_GROUP;
    uint8_t point[1 + 2 * JWK_COORD_MAX] = { 0x04 };
    size_t len = jwk_coord_len(jwk);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(
            OSSL_PKEY_PARAM_GROUP_NAME,
            jwk->type == JWK_TYPE_P256 ? p256 : p384, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
                                          1 + 2 * len),
        OSSL_PARAM_construct_end(),
    };
    CLEANUP_EVP_KEY EVP_PKEY *key = NULL;
    int r;

    memcpy(point + 1, jwk->x, len);
    memcpy(point + 1 + len, jwk->y, len);
    r = evp_key_from_params("EC", params, &key);
    if (r)
        return r;
    r = evp_key_check_point(key);
    if (r)
        return r;
    *ret = TAKE_PTR(key);
    return 0;
}

static int evp_key_from_rsa(const struct jwk *jwk, EVP_PKEY **ret)
{
    CLEANUP(bn_free_p) BIGNUM *n = BN_bin2bn(jwk->n, (int)jwk->n_len, NULL);
    CLEANUP(bn_free_p) BIGNUM *e = BN_bin2bn(jwk->e, (int)jwk->e_len, NULL);
    CLEANUP(param_bld_free_p) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    CLEANUP(params_free_p) OSSL_PARAM *params = NULL;

    if (!n || !e || !bld ||
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return evp_key_error();
    params = OSSL_PARAM_BLD_to_param(bld);
    if (!params)
        return evp_key_error();
    return evp_key_from_params("RSA", params, ret);
}

static int evp_key_from_ed25519(const struct jwk *jwk, EVP_PKEY **ret)
{
    /* OpenSSL takes any 32 octets. */
    if (!crypto_core_ed25519_is_valid_point(jwk->x))
        return EVP_KEY_E_INVALID;
    *ret = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, jwk->x,
                                          jwk_coord_len(jwk));
    return *ret ? 0 : evp_key_error();
}

int evp_key_from_jwk(const struct jwk *key, EVP_PKEY **ret)
{
    switch (key->type) {
    case JWK_TYPE_P256:
    case JWK_TYPE_P384:
        return evp_key_from_ec(key, ret);
    case JWK_TYPE_RSA:
        return evp_key_from_rsa(key, ret);
    case JWK_TYPE_ED25519:
        return evp_key_from_ed25519(key, ret);
    case JWK_TYPE_UNSET:
        break;
    }
    return EVP_KEY_E_INVALID;
}

/* One number of a key as @len octets; @len 0: as many as it has, up to @max. */
static int evp_key_get_number(const EVP_PKEY *key, const char *name, size_t max,
                              size_t len, uint8_t *ret, size_t *ret_len)
{
    CLEANUP(bn_free_p) BIGNUM *n = NULL;

    if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
        return evp_key_error();
    if (len == 0)
        len = (size_t)BN_num_bytes(n);
    if (len > max || BN_bn2binpad(n, ret, (int)len) < 0)
        return EVP_KEY_E_INVALID;
    if (ret_len)
        *ret_len = len;
    return 0;
}

static int evp_key_to_ec(const EVP_PKEY *key, struct jwk *jwk)
{
    char group[32] = "";
    size_t len;
    int r;

    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group,
                                       sizeof(group), NULL) != 1)
        return evp_key_error();
    if (strcmp(group, P256_GROUP) == 0)
        jwk->type = JWK_TYPE_P256;
    else if (strcmp(group, P384_GROUP) == 0)
        jwk->type = JWK_TYPE_P384;
    else
        return EVP_KEY_E_INVALID;

    len = jwk_coord_len(jwk);
    r = evp_key_get_number(key, OSSL_PKEY_PARAM_EC_PUB_X, JWK_COORD_MAX, len,
                           jwk->x, NULL);
    if (r)
        return r;
    return evp_key_get_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, JWK_COORD_MAX, len,
                              jwk->y, NULL);
}

static int evp_key_to_rsa(const EVP_PKEY *key, struct jwk *jwk)
{
    int r;

    jwk->type = JWK_TYPE_RSA;
    r = evp_key_get_number(key, OSSL_PKEY_PARAM_RSA_N, JWK_RSA_MAX, 0, jwk->n,
                           &jwk->n_len);
    if (r)
        return r;
    return evp_key_get_number(key, OSSL_PKEY_PARAM_RSA_E, JWK_E_MAX, 0, jwk->e,
                              &jwk->e_len);
}

int evp_key_to_jwk(const EVP_PKEY *key, struct jwk *ret)
{
    struct jwk jwk = { 0 };
    size_t len = sizeof(jwk.x);
    int r;

    if (EVP_PKEY_is_a(key, "EC")) {
        r = evp_key_to_ec(key, &jwk);
    } else if (EVP_PKEY_is_a(key, "RSA")) {
        r = evp_key_to_rsa(key, &jwk);
    } else if (EVP_PKEY_is_a(key, "ED25519")) {
        jwk.type = JWK_TYPE_ED25519;
        r = EVP_PKEY_get_raw_public_key(key, jwk.x, &len) == 1
                ? 0
                : evp_key_error();
    } else {
        r = EVP_KEY_E_INVALID;
    }
    if (r)
        return r;
    *ret = jwk;
    return 0;
}
