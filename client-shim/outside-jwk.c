/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/outside-jwk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <sodium.h>

#include "acme/evp-key.h"
#include "base/json-depth.h"

#define DEPTH 8
#define NUMBER_MAX JWK_RSA_MAX /* octets */
#define B64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

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

/* The builder only borrows numbers: they live until it is done. */
#define NUMBERS_MAX 8
struct numbers {
    BIGNUM *items[NUMBERS_MAX];
    size_t n;
};

static void numbers_deinit(struct numbers *all)
{
    for (size_t i = 0; i < all->n; i++)
        BN_clear_free(all->items[i]);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool outside_jwk_looks_like(const struct secret *file)
{
    size_t i = 0;

    while (i < file->len && is_space(file->data[i]))
        i++;
    return i < file->len && file->data[i] == '{';
}

/* ---- reading ---- */

static void *locked_malloc(size_t len)
{
    return OPENSSL_secure_malloc(len);
}

static void locked_free(void *p)
{
    OPENSSL_secure_free(p); /* wipes */
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static bool decode(const json_t *object, const char *member, uint8_t *data,
                   size_t max, size_t *ret_len)
{
    const char *text = text_of(object, member);

    return text &&
           sodium_base642bin(data, max, text, strlen(text), NULL, ret_len, NULL,
                             B64) == 0 &&
           *ret_len > 0;
}

static bool push_number(OSSL_PARAM_BLD *bld, const char *name,
                        const json_t *object, const char *member,
                        struct numbers *all)
{
    uint8_t octets[NUMBER_MAX + 1];
    CLEANUP_WIPE(wipe, octets);
    BIGNUM *n;
    size_t len;

    if (!decode(object, member, octets, sizeof(octets), &len))
        return false;
    n = BN_secure_new();
    if (!n || !BN_bin2bn(octets, (int)len, n)) {
        BN_clear_free(n);
        return false;
    }
    all->items[all->n++] = n;
    return OSSL_PARAM_BLD_push_BN(bld, name, n) == 1;
}

static bool push_rsa(OSSL_PARAM_BLD *bld, const json_t *jwk,
                     struct numbers *all)
{
    static const char *const parts[][2] = {
        { OSSL_PKEY_PARAM_RSA_N, "n" },
        { OSSL_PKEY_PARAM_RSA_E, "e" },
        { OSSL_PKEY_PARAM_RSA_D, "d" },
        { OSSL_PKEY_PARAM_RSA_FACTOR1, "p" },
        { OSSL_PKEY_PARAM_RSA_FACTOR2, "q" },
        { OSSL_PKEY_PARAM_RSA_EXPONENT1, "dp" },
        { OSSL_PKEY_PARAM_RSA_EXPONENT2, "dq" },
        { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, "qi" },
    };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!push_number(bld, parts[i][0], jwk, parts[i][1], all))
            return false;
    }
    return true;
}

/* @point lives as long as the builder. */
static bool push_ec(OSSL_PARAM_BLD *bld, const json_t *jwk, struct numbers *all,
                    uint8_t *point)
{
    const char *curve = text_of(jwk, "crv");
    size_t want = curve && strcmp(curve, "P-384") == 0 ? 48 : 32;
    size_t x, y;

    if (!curve || (want == 32 && strcmp(curve, "P-256") != 0))
        return false;
    point[0] = 0x04;
    return decode(jwk, "x", point + 1, want, &x) && x == want &&
           decode(jwk, "y", point + 1 + want, want, &y) && y == want &&
           OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
                                           curve, 0) == 1 &&
           OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point,
                                            1 + 2 * want) == 1 &&
           push_number(bld, OSSL_PKEY_PARAM_PRIV_KEY, jwk, "d", all);
}

static EVP_PKEY *build(OSSL_PARAM_BLD *bld, const char *type)
{
    CLEANUP(params_free_p) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    CLEANUP(pkey_ctx_free_p)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) == 1)
        return key;
    return NULL;
}

static EVP_PKEY *read_ed25519(const json_t *jwk)
{
    uint8_t seed[32];
    CLEANUP_WIPE(wipe, seed);
    const char *curve = text_of(jwk, "crv");
    size_t len;

    if (!curve || strcmp(curve, "Ed25519") != 0 ||
        !decode(jwk, "d", seed, sizeof(seed), &len) || len != sizeof(seed))
        return NULL;
    return EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed, len);
}

static EVP_PKEY *read_object(const json_t *jwk)
{
    CLEANUP(param_bld_free_p) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    CLEANUP(numbers_deinit) struct numbers all = { 0 };
    uint8_t point[1 + 2 * JWK_COORD_MAX];
    const char *type = text_of(jwk, "kty");
    EVP_PKEY *key = NULL;

    if (!bld || !type)
        return NULL;
    if (strcmp(type, "RSA") == 0 && push_rsa(bld, jwk, &all))
        key = build(bld, "RSA");
    else if (strcmp(type, "EC") == 0 && push_ec(bld, jwk, &all, point))
        key = build(bld, "EC");
    else if (strcmp(type, "OKP") == 0)
        key = read_ed25519(jwk);
    ERR_clear_error();
    return key;
}

int outside_jwk_read(const struct secret *file, EVP_PKEY **ret)
{
    struct bytes text = { file->data, file->len };
    json_malloc_t usual_malloc;
    json_free_t usual_free;
    json_t *jwk;
    size_t at;

    *ret = NULL;
    if (!json_depth_within(text, DEPTH, &at))
        return 0;
    json_get_alloc_funcs(&usual_malloc, &usual_free);
    json_set_alloc_funcs(locked_malloc, locked_free);
    jwk = json_loadb((const char *)file->data, file->len,
                     JSON_REJECT_DUPLICATES, NULL);
    *ret = read_object(jwk);
    json_decref(jwk);
    json_set_alloc_funcs(usual_malloc, usual_free);
    return 0;
}

/* ---- writing ---- */

struct writer {
    struct secret *text;
    size_t len;
    bool full;
};

static void put(struct writer *w, const char *text)
{
    size_t len = strlen(text);

    w->full = w->full || len > w->text->len - w->len;
    if (w->full)
        return;
    memcpy(w->text->data + w->len, text, len);
    w->len += len;
}

static void put_octets(struct writer *w, const char *member,
                       const uint8_t *data, size_t len)
{
    char b64[sodium_base64_ENCODED_LEN(NUMBER_MAX, B64)];
    CLEANUP_WIPE(wipe, b64);

    put(w, ",\"");
    put(w, member);
    put(w, "\":\"");
    put(w, sodium_bin2base64(b64, sizeof(b64), data, len, B64));
    put(w, "\"");
}

/* @len 0: as many octets as it has. */
static int put_number(struct writer *w, const EVP_PKEY *key, const char *name,
                      const char *member, size_t len)
{
    uint8_t octets[NUMBER_MAX];
    CLEANUP_WIPE(wipe, octets);
    BIGNUM *n = NULL;
    int r = -EIO;

    if (EVP_PKEY_get_bn_param(key, name, &n) == 1) {
        if (len == 0)
            len = (size_t)BN_num_bytes(n);
        if (len <= sizeof(octets) && BN_bn2binpad(n, octets, (int)len) >= 0) {
            put_octets(w, member, octets, len);
            r = 0;
        }
    }
    BN_clear_free(n);
    ERR_clear_error();
    return r;
}

static int put_rsa(struct writer *w, const EVP_PKEY *key)
{
    static const char *const parts[][2] = {
        { OSSL_PKEY_PARAM_RSA_D, "d" },
        { OSSL_PKEY_PARAM_RSA_FACTOR1, "p" },
        { OSSL_PKEY_PARAM_RSA_FACTOR2, "q" },
        { OSSL_PKEY_PARAM_RSA_EXPONENT1, "dp" },
        { OSSL_PKEY_PARAM_RSA_EXPONENT2, "dq" },
        { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, "qi" },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
        r = put_number(w, key, parts[i][0], parts[i][1], 0);
    return r;
}

static int put_seed(struct writer *w, const EVP_PKEY *key)
{
    uint8_t seed[32];
    CLEANUP_WIPE(wipe, seed);
    size_t len = sizeof(seed);

    if (EVP_PKEY_get_raw_private_key(key, seed, &len) != 1)
        return evp_key_error() == -ENOMEM ? -ENOMEM : -EIO;
    put_octets(w, "d", seed, len);
    return 0;
}

static int put_private(struct writer *w, const EVP_PKEY *key,
                       const struct jwk *jwk)
{
    if (jwk->type == JWK_TYPE_RSA)
        return put_rsa(w, key);
    if (jwk->type == JWK_TYPE_ED25519)
        return put_seed(w, key);
    return put_number(w, key, OSSL_PKEY_PARAM_PRIV_KEY, "d",
                      jwk_coord_len(jwk));
}

int outside_jwk_format(const EVP_PKEY *key, const struct jwk *jwk,
                       struct secret **ret)
{
    CLEANUP_SECRET struct secret *text = NULL;
    CLEANUP_BUF struct buf open = { 0 };
    struct writer w = { 0 };
    int r;

    r = jwk_format(jwk, &open);
    if (r == 0)
        r = secret_new(SECRET_MAX, &text);
    if (r)
        return r;
    open.data[open.len - 1] = '\0'; /* the public members, to be gone on */
    w.text = text;
    put(&w, buf_str(&open));
    r = put_private(&w, key, jwk);
    put(&w, "}\n");
    if (r == 0 && w.full)
        r = -EIO;
    return r ? r : secret_new_copy((struct bytes){ text->data, w.len }, ret);
}
