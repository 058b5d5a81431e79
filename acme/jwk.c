/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/jwk.h"

#include <errno.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/x509.h>

#include "acme/b64url.h"
#include "acme/evp-key.h"
#include "acme/json-strict.h"

#define JWK_RSA_BITS_MIN 2048
#define SPKI_MAX 1024

static int jwk_decode_coord(const json_t *text, size_t want, uint8_t *ret,
                            struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = b64url_decode(json_bytes(text), &b, ret_refusal);
    if (r)
        return r;
    /* RFC 7518 section 6.2.1.2: full length, with leading zeros. */
    if (b.len != want)
        return refuse(ret_refusal, REASON_BAD_KEY, "coordinate of %zu octets",
                      b.len);
    memcpy(ret, b.data, b.len);
    return 0;
}

static int jwk_decode_number(const json_t *text, size_t max, uint8_t *ret,
                             size_t *ret_len, struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = b64url_decode(json_bytes(text), &b, ret_refusal);
    if (r)
        return r;
    if (b.len == 0 || b.len > max)
        return refuse(ret_refusal, REASON_BAD_KEY, "number of %zu octets",
                      b.len);
    if (b.data[0] == 0)
        return refuse(ret_refusal, REASON_BAD_KEY, "leading zero octet");
    memcpy(ret, b.data, b.len);
    *ret_len = b.len;
    return 0;
}

/* kty EC (RFC 7518 section 6.2) and OKP (RFC 8037 section 2). */
static int jwk_decode_curve(const json_t *value, const char *kty, bool has_y,
                            struct jwk *ret, struct refusal *ret_refusal)
{
    json_t *crv, *x, *y = NULL;
    const struct json_member members[] = {
        { "kty", JSON_STRING, true, NULL },
        { "crv", JSON_STRING, true, &crv },
        { "x", JSON_STRING, true, &x },
        { "y", JSON_STRING, true, &y },
    };
    int r;

    r = json_strict_members(value, members,
                            ARRAY_LEN(members) - (has_y ? 0 : 1), ret_refusal);
    if (r)
        return r;
    ret->type = jwk_curve_type(kty, json_bytes(crv));
    if (ret->type == JWK_TYPE_UNSET)
        return refuse(ret_refusal, REASON_BAD_KEY, "crv %s",
                      json_string_value(crv));

    r = jwk_decode_coord(x, jwk_coord_len(ret), ret->x, ret_refusal);
    if (r || !y)
        return r;
    return jwk_decode_coord(y, jwk_coord_len(ret), ret->y, ret_refusal);
}

/* kty RSA (RFC 7518 section 6.3). */
static int jwk_decode_rsa(const json_t *value, struct jwk *ret,
                          struct refusal *ret_refusal)
{
    json_t *n, *e;
    const struct json_member members[] = {
        { "kty", JSON_STRING, true, NULL },
        { "n", JSON_STRING, true, &n },
        { "e", JSON_STRING, true, &e },
    };
    int r;

    r = json_strict_members(value, members, ARRAY_LEN(members), ret_refusal);
    if (r)
        return r;
    ret->type = JWK_TYPE_RSA;
    r = jwk_decode_number(n, JWK_RSA_MAX, ret->n, &ret->n_len, ret_refusal);
    if (r)
        return r;
    return jwk_decode_number(e, JWK_E_MAX, ret->e, &ret->e_len, ret_refusal);
}

int jwk_decode(const json_t *value, struct jwk *ret,
               struct refusal *ret_refusal)
{
    struct jwk jwk = { 0 };
    const char *kty;
    int r;

    if (!json_is_object(value))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "jwk is no object");
    kty = json_string_value(json_object_get(value, "kty"));
    if (!kty)
        return refuse(ret_refusal, REASON_MISSING_MEMBER, "kty");

    if (strcmp(kty, "EC") == 0)
        r = jwk_decode_curve(value, kty, true, &jwk, ret_refusal);
    else if (strcmp(kty, "OKP") == 0)
        r = jwk_decode_curve(value, kty, false, &jwk, ret_refusal);
    else if (strcmp(kty, "RSA") == 0)
        r = jwk_decode_rsa(value, &jwk, ret_refusal);
    else
        return refuse(ret_refusal, REASON_BAD_KEY, "kty %s", kty);
    if (r)
        return r;
    *ret = jwk;
    return 0;
}

static size_t jwk_rsa_bits(const struct jwk *key)
{
    size_t bits = key->n_len * 8;

    for (uint8_t top = key->n[0]; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

static int jwk_check_rsa(const struct jwk *key, struct refusal *ret_refusal)
{
    size_t bits = jwk_rsa_bits(key);

    if (bits < JWK_RSA_BITS_MIN)
        return refuse(ret_refusal, REASON_BAD_KEY, "modulus of %zu bits", bits);
    if (!(key->n[key->n_len - 1] & 1))
        return refuse(ret_refusal, REASON_BAD_KEY, "even modulus");
    if (!(key->e[key->e_len - 1] & 1))
        return refuse(ret_refusal, REASON_BAD_KEY, "even exponent");
    if (key->e_len == 1 && key->e[0] < 3)
        return refuse(ret_refusal, REASON_BAD_KEY, "exponent 1");
    return 0;
}

int jwk_read(const json_t *value, struct jwk *ret, struct refusal *ret_refusal)
{
    CLEANUP_EVP_KEY EVP_PKEY *pkey = NULL;
    struct jwk jwk = { 0 };
    int r;

    r = jwk_decode(value, &jwk, ret_refusal);
    if (r)
        return r;
    if (jwk.type == JWK_TYPE_RSA) {
        r = jwk_check_rsa(&jwk, ret_refusal);
        if (r)
            return r;
    }
    r = evp_key_from_jwk(&jwk, &pkey);
    if (r < 0)
        return r;
    if (r == EVP_KEY_E_INVALID)
        return refuse(ret_refusal, REASON_BAD_KEY, "not on its curve");
    *ret = jwk;
    return 0;
}

int jwk_to_spki(const struct jwk *key, struct buf *ret)
{
    CLEANUP_EVP_KEY EVP_PKEY *pkey = NULL;
    uint8_t *out;
    int len, r;

    r = evp_key_from_jwk(key, &pkey);
    if (r)
        return r < 0 ? r : JWK_E_UNSUPPORTED;
    len = i2d_PUBKEY(pkey, NULL);
    if (len <= 0)
        return -ENOMEM;
    r = buf_reserve(ret, (size_t)len);
    if (r)
        return r;
    out = ret->data + ret->len;
    if (i2d_PUBKEY(pkey, &out) != len)
        return -ENOMEM;
    ret->len += (size_t)len;
    ret->data[ret->len] = 0;
    return 0;
}

int jwk_from_spki(struct bytes der, struct jwk *ret)
{
    CLEANUP_EVP_KEY EVP_PKEY *pkey = NULL;
    CLEANUP_BUF struct buf again = { 0 };
    const uint8_t *p = der.data;
    struct jwk jwk = { 0 };
    int r;

    if (der.len > SPKI_MAX)
        return JWK_E_UNSUPPORTED;
    pkey = d2i_PUBKEY(NULL, &p, (long)der.len);
    r = pkey ? evp_key_to_jwk(pkey, &jwk) : evp_key_error();
    if (r)
        return r < 0 ? r : JWK_E_UNSUPPORTED;

    /* One key, one encoding: no compressed point, no explicit curve. */
    r = jwk_to_spki(&jwk, &again);
    if (r)
        return r;
    if (!bytes_eq(buf_bytes(&again), der))
        return JWK_E_UNSUPPORTED;
    *ret = jwk;
    return 0;
}

/* r || s of RFC 7518 section 3.4 as the DER that OpenSSL wants. */
static int jws_signature_to_der(struct bytes raw, struct buf *ret)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    int half = (int)(raw.len / 2);
    BIGNUM *r_ = BN_bin2bn(raw.data, half, NULL);
    BIGNUM *s_ = BN_bin2bn(raw.data + half, half, NULL);
    uint8_t *der = NULL;
    int len = -1;
    int r;

    if (sig && r_ && s_ && ECDSA_SIG_set0(sig, r_, s_) == 1) {
        len = i2d_ECDSA_SIG(sig, &der);
    } else {
        BN_free(r_);
        BN_free(s_);
    }
    ECDSA_SIG_free(sig);
    if (len <= 0)
        return -ENOMEM;
    r = buf_append(ret, der, (size_t)len);
    OPENSSL_free(der);
    return r;
}

static const char *jws_digest(enum jws_alg alg)
{
    if (alg == JWS_ALG_EDDSA)
        return NULL;
    return alg == JWS_ALG_ES384 ? "SHA384" : "SHA256";
}

int jws_verify(const struct jwk *key, struct bytes input,
               struct bytes signature)
{
    CLEANUP_EVP_KEY EVP_PKEY *pkey = NULL;
    CLEANUP_BUF struct buf der = { 0 };
    enum jws_alg alg = jwk_alg(key);
    struct bytes sig = signature;
    EVP_MD_CTX *ctx;
    bool good;
    int r;

    if (alg == JWS_ALG_UNSET || signature.len != jws_signature_len(key))
        return JWS_E_BAD_SIGNATURE;
    r = evp_key_from_jwk(key, &pkey);
    if (r)
        return r < 0 ? r : JWS_E_BAD_SIGNATURE;
    if (alg == JWS_ALG_ES256 || alg == JWS_ALG_ES384) {
        r = jws_signature_to_der(signature, &der);
        if (r)
            return r;
        sig = buf_bytes(&der);
    }

    ctx = EVP_MD_CTX_new();
    if (!ctx)
        return -ENOMEM;
    good = EVP_DigestVerifyInit_ex(ctx, NULL, jws_digest(alg), NULL, NULL, pkey,
                                   NULL) == 1 &&
           EVP_DigestVerify(ctx, sig.data, sig.len, input.data, input.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (good)
        return 0;
    r = evp_key_error();
    return r < 0 ? r : JWS_E_BAD_SIGNATURE;
}
