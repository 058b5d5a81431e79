/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "acme/reason.h"
#include "base/bytes.h"

/* Public keys of ACME accounts as JWK (RFC 7517, 7518 section 6, 8037). */

enum jwk_type {
    JWK_TYPE_UNSET = 0,
    JWK_TYPE_P256,    /* kty EC, crv P-256; ES256 */
    JWK_TYPE_P384,    /* kty EC, crv P-384; ES384 */
    JWK_TYPE_RSA,     /* kty RSA, 2048 to 4096 bits; RS256 */
    JWK_TYPE_ED25519, /* kty OKP, crv Ed25519; EdDSA */
};

/* JWS algorithms (RFC 7518 section 3.1, RFC 8037); one for each key type. */
enum jws_alg {
    JWS_ALG_UNSET = 0,
    JWS_ALG_ES256,
    JWS_ALG_ES384,
    JWS_ALG_RS256,
    JWS_ALG_EDDSA,
};

#define JWK_RSA_MAX 512  /* octets of a modulus: 4096 bits */
#define JWK_E_MAX 8      /* octets of a public exponent */
#define JWK_COORD_MAX 48 /* octets of a coordinate: P-384 */
#define JWK_THP_LEN 32
#define JWK_THP_TEXT_LEN 43

/* Plain data, copied by value. Unused parts are zero, so memcmp compares. */
struct jwk {
    enum jwk_type type;
    uint8_t x[JWK_COORD_MAX]; /* EC: 32 or 48 octets; Ed25519: 32 */
    uint8_t y[JWK_COORD_MAX];
    uint8_t n[JWK_RSA_MAX]; /* big-endian, no leading zero octet */
    size_t n_len;
    uint8_t e[JWK_E_MAX];
    size_t e_len;
};

const char *jws_alg_name(enum jws_alg alg);    /* "ES256" */
enum jws_alg jws_alg_parse(struct bytes name); /* JWS_ALG_UNSET: unknown */
/* jwk_curve_type() - of kty and crv; JWK_TYPE_UNSET: none that we have. */
enum jwk_type jwk_curve_type(const char *kty, struct bytes crv);
enum jws_alg jwk_alg(const struct jwk *key);
size_t jwk_coord_len(const struct jwk *key); /* 32, 48; 0 for RSA */

/* jws_signature_len() - exact octets of a signature by @key (RFC 7518 3.3, 3.4:
 * 64, 96; the modulus for RSA; 64 for Ed25519). */
size_t jws_signature_len(const struct jwk *key);

/**
 * jwk_read() - a public JWK with exactly the required members
 * @value: borrowed
 *
 * Any other member (d, use, kid, ...) is refused, as are a point that is not
 * on its curve, coordinates of another length, and RSA outside 2048..4096 bits.
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int jwk_read(const json_t *value, struct jwk *ret,
             struct refusal *ret_refusal) MUST_CHECK;

/* jwk_decode() - jwk_read() without the arithmetic (is the point on its curve,
 * is the modulus odd): enough for comparing with a key known to be good. */
int jwk_decode(const json_t *value, struct jwk *ret,
               struct refusal *ret_refusal) MUST_CHECK;

/* jwk_format() - the canonical form of RFC 7638 section 3, appended. */
int jwk_format(const struct jwk *key, struct buf *b) MUST_CHECK;

/**
 * jwk_thumbprint() - SHA-256 thumbprint of a public key (RFC 7638 section 3)
 * @ret_thp: raw digest, not base64url; written on success only
 */
int jwk_thumbprint(const struct jwk *key,
                   uint8_t ret_thp[static JWK_THP_LEN]) MUST_CHECK;

/* jwk_thumbprint_text() - the same as 43 base64url characters and a NUL. */
int jwk_thumbprint_text(const struct jwk *key,
                        char ret[static JWK_THP_TEXT_LEN + 1]) MUST_CHECK;

bool jwk_eq(const struct jwk *a, const struct jwk *b);

/* jwk_from_spki() / jwk_to_spki() - DER SubjectPublicKeyInfo.
 * Return: 0; JWK_E_UNSUPPORTED; -ENOMEM. */
int jwk_from_spki(struct bytes der, struct jwk *ret) MUST_CHECK;
int jwk_to_spki(const struct jwk *key, struct buf *ret) MUST_CHECK;
#define JWK_E_UNSUPPORTED 1

/**
 * jws_verify() - check a JWS signature (raw r||s for ECDSA) over @input
 *
 * Return: 0 if good; JWS_E_BAD_SIGNATURE; negative errno.
 */
int jws_verify(const struct jwk *key, struct bytes input,
               struct bytes signature) MUST_CHECK;
#define JWS_E_BAD_SIGNATURE 1
