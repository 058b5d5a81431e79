/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/jwk.h"

#include <errno.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "acme/b64url.h"
#include "acme/evp-key.h"
#include "acme/json-strict.h"

#define JWK_RSA_BITS_MIN 2048
#define SPKI_MAX 1024

static const struct jwk_kind {
    const char *kty;
    const char *crv;
    const char *alg_name;
    enum jws_alg alg;
    size_t coord_len;
} kinds[] = {
    [JWK_TYPE_UNSET] = { "", NULL, "", JWS_ALG_UNSET, 0 },
    [JWK_TYPE_P256] = { "EC", "P-256", "ES256", JWS_ALG_ES256, 32 },
    [JWK_TYPE_P384] = { "EC", "P-384", "ES384", JWS_ALG_ES384, 48 },
    [JWK_TYPE_RSA] = { "RSA", NULL, "RS256", JWS_ALG_RS256, 0 },
    [JWK_TYPE_ED25519] = { "OKP", "Ed25519", "EdDSA", JWS_ALG_EDDSA, 32 },
};

const char *jws_alg_name(enum jws_alg alg)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].alg == alg)
            return kinds[i].alg_name;
    }
    return "";
}

enum jws_alg jws_alg_parse(struct bytes name)
{
    for (size_t i = JWK_TYPE_UNSET + 1; i < ARRAY_LEN(kinds); i++) {
        if (bytes_eq_str(name, kinds[i].alg_name))
            return kinds[i].alg;
    }
    return JWS_ALG_UNSET;
}

enum jws_alg jwk_alg(const struct jwk *key)
{
    return kinds[key->type].alg;
}

size_t jwk_coord_len(const struct jwk *key)
{
    return kinds[key->type].coord_len;
}

size_t jws_signature_len(const struct jwk *key)
{
    return key->type == JWK_TYPE_RSA ? key->n_len : 2 * jwk_coord_len(key);
}

bool jwk_eq(const struct jwk *a, const struct jwk *b)
{
    return a->type == b->type && memcmp(a->x, b->x, sizeof(a->x)) == 0 &&
           memcmp(a->y, b->y, sizeof(a->y)) == 0 && a->n_len == b->n_len &&
           memcmp(a->n, b->n, sizeof(a->n)) == 0 && a->e_len == b->e_len &&
           memcmp(a->e, b->e, sizeof(a->e)) == 0;
}

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

static enum jwk_type jwk_find_curve(const char *kty, const json_t *crv)
{
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].crv && strcmp(kinds[i].kty, kty) == 0 &&
            bytes_eq_str(json_bytes(crv), kinds[i].crv))
            return (enum jwk_type)i;
    }
    return JWK_TYPE_UNSET;
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
    ret->type = jwk_find_curve(kty, crv);
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

static int jwk_format_member(const char *before, const uint8_t *data,
                             size_t len, struct buf *b)
{
    int r;

    r = buf_append_str(b, before);
    if (r)
        return r;
    return b64url_encode((struct bytes){ data, len }, b);
}

int jwk_format(const struct jwk *key, struct buf *b)
{
    const struct jwk_kind *kind = &kinds[key->type];
    int r;

    if (key->type == JWK_TYPE_RSA) {
        r = jwk_format_member("{\"e\":\"", key->e, key->e_len, b);
        if (r)
            return r;
        r = jwk_format_member("\",\"kty\":\"RSA\",\"n\":\"", key->n, key->n_len,
                              b);
    } else {
        r = buf_printf(b, "{\"crv\":\"%s\",\"kty\":\"%s\"", kind->crv,
                       kind->kty);
        if (r)
            return r;
        r = jwk_format_member(",\"x\":\"", key->x, kind->coord_len, b);
        if (!r && kind->alg != JWS_ALG_EDDSA)
            r = jwk_format_member("\",\"y\":\"", key->y, kind->coord_len, b);
    }
    if (r)
        return r;
    return buf_append_str(b, "\"}");
}

int jwk_thumbprint(const struct jwk *key, uint8_t ret_thp[static JWK_THP_LEN])
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = jwk_format(key, &b);
    if (r)
        return r;
    crypto_hash_sha256(ret_thp, b.data, b.len);
    return 0;
}

int jwk_thumbprint_text(const struct jwk *key,
                        char ret[static JWK_THP_TEXT_LEN + 1])
{
    uint8_t thp[JWK_THP_LEN];
    int r;

    r = jwk_thumbprint(key, thp);
    if (r)
        return r;
    sodium_bin2base64(ret, JWK_THP_TEXT_LEN + 1, thp, sizeof(thp),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
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
