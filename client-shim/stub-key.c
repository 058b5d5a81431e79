/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/stub-key.h"

#include <errno.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#define RSA_BITS_MIN 2048
#define POINT_MAX (1 + 2 * JWK_COORD_MAX)
#define POINT_UNCOMPRESSED 0x04

/* X509_PUBKEY of OpenSSL makes a key of what it reads; this does not. */
typedef struct {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *key;
} STUB_SPKI;

ASN1_SEQUENCE(STUB_SPKI) = {
    ASN1_SIMPLE(STUB_SPKI, algorithm, X509_ALGOR),
    ASN1_SIMPLE(STUB_SPKI, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(STUB_SPKI)

/* RFC 8017, A.1.1 */
typedef struct {
    ASN1_INTEGER *n;
    ASN1_INTEGER *e;
} STUB_RSA;

ASN1_SEQUENCE(STUB_RSA) = {
    ASN1_SIMPLE(STUB_RSA, n, ASN1_INTEGER),
    ASN1_SIMPLE(STUB_RSA, e, ASN1_INTEGER),
} static_ASN1_SEQUENCE_END(STUB_RSA)

static void spki_free_p(STUB_SPKI **spki)
{
    ASN1_item_free((ASN1_VALUE *)*spki, ASN1_ITEM_rptr(STUB_SPKI));
}

static void rsa_free_p(STUB_RSA **rsa)
{
    ASN1_item_free((ASN1_VALUE *)*rsa, ASN1_ITEM_rptr(STUB_RSA));
}

static void pubkey_free_p(X509_PUBKEY **key)
{
    X509_PUBKEY_free(*key);
}

static void octets_free_p(uint8_t **octets)
{
    OPENSSL_free(*octets);
}
#define CLEANUP_OCTETS CLEANUP(octets_free_p)

static void bn_free_p(BIGNUM **n)
{
    BN_free(*n);
}
#define CLEANUP_BN CLEANUP(bn_free_p)

static void group_free_p(EC_GROUP **group)
{
    EC_GROUP_free(*group);
}

static void point_free_p(EC_POINT **point)
{
    EC_POINT_free(*point);
}

static int curve_of(enum jwk_type type)
{
    return type == JWK_TYPE_P256 ? NID_X9_62_prime256v1 : NID_secp384r1;
}

static size_t put_point(const struct jwk *key, uint8_t ret[static POINT_MAX])
{
    size_t len = jwk_coord_len(key);

    ret[0] = POINT_UNCOMPRESSED;
    memcpy(ret + 1, key->x, len);
    memcpy(ret + 1 + len, key->y, len);
    return 1 + 2 * len;
}

/* Low-level arithmetic on purpose: it fetches nothing. */
static int check_point(const struct jwk *key)
{
    CLEANUP(group_free_p)
    EC_GROUP *group = EC_GROUP_new_by_curve_name(curve_of(key->type));
    CLEANUP(point_free_p) EC_POINT *point = NULL;
    uint8_t octets[POINT_MAX];
    size_t len = put_point(key, octets);

    point = group ? EC_POINT_new(group) : NULL;
    if (!point)
        return -ENOMEM;
    if (EC_POINT_oct2point(group, point, octets, len, NULL) != 1)
        return STUB_KEY_E_INVALID;
    return 0;
}

static int check_rsa(const struct jwk *key)
{
    CLEANUP_BN BIGNUM *n = BN_bin2bn(key->n, (int)key->n_len, NULL);
    CLEANUP_BN BIGNUM *e = BN_bin2bn(key->e, (int)key->e_len, NULL);

    if (!n || !e)
        return -ENOMEM;
    if (BN_num_bits(n) < RSA_BITS_MIN || !BN_is_odd(n) || !BN_is_odd(e) ||
        BN_is_one(e))
        return STUB_KEY_E_INVALID;
    return 0;
}

int stub_key_check(const struct jwk *key)
{
    switch (key->type) {
    case JWK_TYPE_P256:
    case JWK_TYPE_P384:
        return check_point(key);
    case JWK_TYPE_RSA:
        return check_rsa(key);
    case JWK_TYPE_ED25519:
    case JWK_TYPE_UNSET:
        break;
    }
    return STUB_KEY_E_INVALID;
}

static ASN1_INTEGER *integer_of(const uint8_t *data, size_t len)
{
    CLEANUP_BN BIGNUM *n = BN_bin2bn(data, (int)len, NULL);

    return n ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
}

/* What the BIT STRING holds: the point, or the modulus and the exponent. */
static int encode_inner(const struct jwk *key, uint8_t **ret, int *ret_len)
{
    CLEANUP(rsa_free_p) STUB_RSA *rsa = NULL;

    if (key->type != JWK_TYPE_RSA) {
        *ret = OPENSSL_malloc(POINT_MAX);
        *ret_len = *ret ? (int)put_point(key, *ret) : 0;
        return *ret ? 0 : -ENOMEM;
    }
    rsa = (STUB_RSA *)ASN1_item_new(ASN1_ITEM_rptr(STUB_RSA));
    if (!rsa)
        return -ENOMEM;
    ASN1_INTEGER_free(rsa->n);
    ASN1_INTEGER_free(rsa->e);
    rsa->n = integer_of(key->n, key->n_len);
    rsa->e = integer_of(key->e, key->e_len);
    if (!rsa->n || !rsa->e)
        return -ENOMEM;
    *ret_len = ASN1_item_i2d((ASN1_VALUE *)rsa, ret, ASN1_ITEM_rptr(STUB_RSA));
    return *ret_len > 0 ? 0 : -ENOMEM;
}

int stub_key_encode(const struct jwk *key, struct buf *ret)
{
    CLEANUP(pubkey_free_p) X509_PUBKEY *pubkey = X509_PUBKEY_new();
    CLEANUP_OCTETS uint8_t *inner = NULL;
    CLEANUP_OCTETS uint8_t *der = NULL;
    bool rsa = key->type == JWK_TYPE_RSA;
    int len, r;

    if (key->type == JWK_TYPE_UNSET || key->type == JWK_TYPE_ED25519)
        return STUB_KEY_E_INVALID;
    r = encode_inner(key, &inner, &len);
    if (r)
        return r;
    if (!pubkey ||
        X509_PUBKEY_set0_param(
            pubkey,
            OBJ_nid2obj(rsa ? NID_rsaEncryption : NID_X9_62_id_ecPublicKey),
            rsa ? V_ASN1_NULL : V_ASN1_OBJECT,
            rsa ? NULL : OBJ_nid2obj(curve_of(key->type)), inner, len) != 1)
        return -ENOMEM;
    inner = NULL; /* it is the key's now */
    len = i2d_X509_PUBKEY(pubkey, &der);
    return len > 0 ? buf_append(ret, der, (size_t)len) : -ENOMEM;
}

static int decode_point(struct bytes inner, const ASN1_OBJECT *curve,
                        struct jwk *ret)
{
    size_t len;

    if (OBJ_obj2nid(curve) == NID_X9_62_prime256v1)
        ret->type = JWK_TYPE_P256;
    else if (OBJ_obj2nid(curve) == NID_secp384r1)
        ret->type = JWK_TYPE_P384;
    else
        return STUB_KEY_E_INVALID;
    len = jwk_coord_len(ret);
    if (inner.len != 1 + 2 * len || inner.data[0] != POINT_UNCOMPRESSED)
        return STUB_KEY_E_INVALID;
    memcpy(ret->x, inner.data + 1, len);
    memcpy(ret->y, inner.data + 1 + len, len);
    return 0;
}

static int decode_number(const ASN1_INTEGER *from, size_t max, uint8_t *ret,
                         size_t *ret_len)
{
    CLEANUP_BN BIGNUM *n = ASN1_INTEGER_to_BN(from, NULL);

    if (!n)
        return -ENOMEM;
    if (BN_is_negative(n) || BN_is_zero(n) || (size_t)BN_num_bytes(n) > max)
        return STUB_KEY_E_INVALID;
    *ret_len = (size_t)BN_bn2bin(n, ret);
    return 0;
}

static int decode_rsa(struct bytes inner, struct jwk *ret)
{
    const uint8_t *p = inner.data;
    CLEANUP(rsa_free_p)
    STUB_RSA *rsa = (STUB_RSA *)ASN1_item_d2i(NULL, &p, (long)inner.len,
                                              ASN1_ITEM_rptr(STUB_RSA));
    int r;

    if (!rsa)
        return STUB_KEY_E_INVALID;
    ret->type = JWK_TYPE_RSA;
    r = decode_number(rsa->n, JWK_RSA_MAX, ret->n, &ret->n_len);
    return r ? r : decode_number(rsa->e, JWK_E_MAX, ret->e, &ret->e_len);
}

int stub_key_decode(struct bytes der, struct jwk *ret)
{
    const uint8_t *p = der.data;
    CLEANUP(spki_free_p)
    STUB_SPKI *spki = (STUB_SPKI *)ASN1_item_d2i(NULL, &p, (long)der.len,
                                                 ASN1_ITEM_rptr(STUB_SPKI));
    struct jwk jwk = { 0 };
    const ASN1_OBJECT *name;
    const void *value;
    struct bytes inner;
    int type, r;

    if (!spki)
        return STUB_KEY_E_INVALID;
    X509_ALGOR_get0(&name, &type, &value, spki->algorithm);
    inner = (struct bytes){ ASN1_STRING_get0_data(spki->key),
                            (size_t)ASN1_STRING_length(spki->key) };
    if (OBJ_obj2nid(name) == NID_rsaEncryption)
        r = decode_rsa(inner, &jwk);
    else if (OBJ_obj2nid(name) == NID_X9_62_id_ecPublicKey &&
             type == V_ASN1_OBJECT)
        r = decode_point(inner, value, &jwk);
    else
        r = STUB_KEY_E_INVALID;
    if (r == 0)
        *ret = jwk;
    return r;
}
