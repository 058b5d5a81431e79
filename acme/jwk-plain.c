/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/jwk.h"

#include <errno.h>
#include <string.h>

#include <openssl/sha.h>

#include "acme/b64url.h"

/*
 * What needs no key of OpenSSL's and no libsodium: the OpenSSL provider has
 * this part in other people's processes.
 */

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

enum jwk_type jwk_curve_type(const char *kty, struct bytes crv)
{
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].crv && strcmp(kinds[i].kty, kty) == 0 &&
            bytes_eq_str(crv, kinds[i].crv))
            return (enum jwk_type)i;
    }
    return JWK_TYPE_UNSET;
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
    return SHA256(b.data, b.len, ret_thp) ? 0 : -ENOMEM;
}

int jwk_thumbprint_text(const struct jwk *key,
                        char ret[static JWK_THP_TEXT_LEN + 1])
{
    CLEANUP_BUF struct buf b = { 0 };
    uint8_t thp[JWK_THP_LEN];
    int r;

    r = jwk_thumbprint(key, thp);
    if (r)
        return r;
    r = b64url_encode((struct bytes){ thp, sizeof(thp) }, &b);
    if (r)
        return r;
    memcpy(ret, b.data, JWK_THP_TEXT_LEN + 1);
    return 0;
}
