/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a private key on the token is: its label, its public half as DER, and
 * which attributes the token itself states. Modules fail a whole
 * C_GetAttributeValue for one attribute they lack, so each is read alone.
 */
#include "pkcs11/cryptoki.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "pkcs11/signature.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_CLEANUP(BIGNUM *, BN_free)

/* SubjectPublicKeyInfo up to the point, by the point's length. */
static const struct {
    CK_KEY_TYPE type;
    size_t point_len;
    size_t prefix_len;
    uint8_t prefix[26];
} curves[] = {
    { CKK_EC, 65, 26, { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                        0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 } },
    { CKK_EC, 97, 23, { 0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                        0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                        0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00 } },
    { CKK_EC_EDWARDS,
      32,
      12,
      { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21,
        0x00 } },
};

/* CKA_EC_POINT is a DER OCTET STRING; some modules leave the wrapping away. */
static struct bytes unwrap_point(const struct cryptoki_value *v)
{
    if (v->len >= 2 && v->data[0] == 0x04 && v->data[1] == v->len - 2)
        return (struct bytes){ v->data + 2, v->len - 2 };
    return (struct bytes){ v->data, v->len };
}

/* A point of another curve of the same length does not parse: it is not on the
 * curve that the prefix names. */
static size_t ec_spki(CK_KEY_TYPE type, const struct cryptoki_value *value,
                      uint8_t ret[static TOKEN_SPKI_MAX])
{
    struct bytes point = unwrap_point(value);

    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        if (curves[i].type != type || curves[i].point_len != point.len)
            continue;
        memcpy(ret, curves[i].prefix, curves[i].prefix_len);
        memcpy(ret + curves[i].prefix_len, point.data, point.len);
        return curves[i].prefix_len + point.len;
    }
    return 0;
}

static size_t rsa_spki(const struct cryptoki_value *modulus,
                       const struct cryptoki_value *exponent,
                       uint8_t ret[static TOKEN_SPKI_MAX])
{
    CLEANUP(OSSL_PARAM_BLD_free_p)
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CLEANUP(EVP_PKEY_CTX_free_p)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    CLEANUP(BN_free_p)
    BIGNUM *n = BN_bin2bn(modulus->data, (int)modulus->len, NULL);
    CLEANUP(BN_free_p)
    BIGNUM *e = BN_bin2bn(exponent->data, (int)exponent->len, NULL);
    CLEANUP(OSSL_PARAM_free_p) OSSL_PARAM *params = NULL;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = NULL;

    if (!build || !ctx || !n || !e ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return 0;
    params = OSSL_PARAM_BLD_to_param(build);
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return 0;
    return signature_spki(key, ret);
}

/* The public object of the same CKA_ID and type; CK_INVALID_HANDLE if none or
 * more than one. */
static CK_RV find_public(const struct backend_session *s,
                         const struct token_key *key, CK_KEY_TYPE type,
                         CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_BYTE id[sizeof(key->id)];
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_ID, id, key->id_len },
    };
    CK_RV rv;

    memcpy(id, key->id, sizeof(id));
    *ret = CK_INVALID_HANDLE;
    if (key->id_len == 0)
        return CKR_OK;
    rv = cryptoki_search(s->b, s->handle, template, ARRAY_LEN(template), found,
                         2, &n);
    if (rv == CKR_OK && n == 1)
        *ret = found[0];
    return rv;
}

static CK_RV read_rsa(const struct backend_session *s, CK_OBJECT_HANDLE object,
                      struct token_key *key)
{
    struct cryptoki_value n = { 0 };
    struct cryptoki_value e = { 0 };
    CK_RV rv;

    rv = cryptoki_read(s->b, s->handle, object, CKA_MODULUS, &n);
    if (rv == CKR_OK)
        rv = cryptoki_read(s->b, s->handle, object, CKA_PUBLIC_EXPONENT, &e);
    if (rv == CKR_OK && n.len > 0 && e.len > 0)
        key->spki_len = (uint32_t)rsa_spki(&n, &e, key->spki);
    return rv;
}

static CK_RV read_public(const struct backend_session *s,
                         CK_OBJECT_HANDLE private, CK_KEY_TYPE type,
                         struct token_key *key)
{
    struct cryptoki_value point = { 0 };
    CK_OBJECT_HANDLE public;
    CK_RV rv;

    rv = find_public(s, key, type, &public);
    if (rv != CKR_OK)
        return rv;
    /* Many tokens tell an RSA key's public part with the private key. */
    if (type == CKK_RSA)
        return read_rsa(s, public == CK_INVALID_HANDLE ? private : public, key);
    if (public == CK_INVALID_HANDLE)
        return CKR_OK;
    rv = cryptoki_read(s->b, s->handle, public, CKA_EC_POINT, &point);
    if (rv == CKR_OK)
        key->spki_len = (uint32_t)ec_spki(type, &point, key->spki);
    return rv;
}

/* The public half decides what the key signs with, or that it does not. */
static void set_alg(struct token_key *key)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *pub = NULL;

    if (key->spki_len == 0)
        return;
    if (signature_key((struct bytes){ key->spki, key->spki_len }, &pub) == 0)
        key->alg = signature_alg(pub);
    if (key->alg == TOKEN_ALG_UNSET) {
        memset(key->spki, 0, sizeof(key->spki));
        key->spki_len = 0;
    }
}

static CK_RV read_attrs(const struct backend_session *s,
                        CK_OBJECT_HANDLE object, struct token_key *key)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        int want;
        uint32_t attr;
    } rows[] = {
        { CKA_SENSITIVE, 1, TOKEN_ATTR_SENSITIVE },
        { CKA_EXTRACTABLE, 0, TOKEN_ATTR_UNEXTRACTABLE },
        { CKA_ALWAYS_SENSITIVE, 1, TOKEN_ATTR_ALWAYS_SENSITIVE },
        { CKA_NEVER_EXTRACTABLE, 1, TOKEN_ATTR_NEVER_EXTRACTABLE },
        { CKA_LOCAL, 1, TOKEN_ATTR_LOCAL },
        { CKA_DECRYPT, 0, TOKEN_ATTR_SIGN_ONLY },
        { CKA_UNWRAP, 0, TOKEN_ATTR_SIGN_ONLY },
        { CKA_DERIVE, 0, TOKEN_ATTR_SIGN_ONLY },
    };
    uint32_t untrue = 0;
    uint32_t unknown = 0;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int value;
        CK_RV rv =
            cryptoki_read_bool(s->b, s->handle, object, rows[i].type, &value);

        if (rv != CKR_OK)
            return rv;
        key->attrs |= rows[i].attr;
        if (value < 0)
            unknown |= rows[i].attr;
        else if (value != rows[i].want)
            untrue |= rows[i].attr;
    }
    key->attrs_known = key->attrs & (~unknown | untrue);
    key->attrs &= ~(unknown | untrue);
    /* The attributes are a claim; this is the test of it. */
    if (cryptoki_readable(s->b, s->handle, object, CKA_VALUE) ||
        cryptoki_readable(s->b, s->handle, object, CKA_PRIVATE_EXPONENT))
        key->attrs &= ~(TOKEN_ATTR_SENSITIVE | TOKEN_ATTR_UNEXTRACTABLE);
    return CKR_OK;
}

/* What makes a key useless to us, other than being extractable. */
static CK_RV judge(const struct backend_session *s, CK_OBJECT_HANDLE object,
                   const struct token_key *key, const char **ret_unfit)
{
    int sign, always;
    CK_RV rv;

    rv = cryptoki_read_bool(s->b, s->handle, object, CKA_SIGN, &sign);
    if (rv == CKR_OK)
        rv = cryptoki_read_bool(s->b, s->handle, object,
                                CKA_ALWAYS_AUTHENTICATE, &always);
    if (rv != CKR_OK)
        return rv;
    *ret_unfit = NULL;
    if (sign == 0)
        *ret_unfit = "it must not sign (CKA_SIGN is false)";
    else if (always == 1)
        *ret_unfit = "it wants a PIN for each signature "
                     "(CKA_ALWAYS_AUTHENTICATE)";
    else if (key->spki_len == 0)
        *ret_unfit = "no single public key of its CKA_ID, or of a type that "
                     "we do not sign with";
    return CKR_OK;
}

CK_RV cryptoki_read_key(const struct backend_session *s,
                        CK_OBJECT_HANDLE object, struct token_key *ret,
                        const char **ret_unfit)
{
    struct cryptoki_value label = { 0 };
    struct cryptoki_value id = { 0 };
    CK_KEY_TYPE type = CK_UNAVAILABLE_INFORMATION;
    CK_RV rv;

    memset(ret, 0, sizeof(*ret));
    rv = cryptoki_read(s->b, s->handle, object, CKA_LABEL, &label);
    if (rv == CKR_OK)
        rv = cryptoki_read(s->b, s->handle, object, CKA_ID, &id);
    if (rv == CKR_OK)
        rv = cryptoki_read_ulong(s->b, s->handle, object, CKA_KEY_TYPE, &type);
    if (rv != CKR_OK)
        return rv;
    if (label.len <= TOKEN_LABEL_MAX)
        memcpy(ret->label, label.data, label.len);
    if (id.len <= sizeof(ret->id)) {
        memcpy(ret->id, id.data, id.len);
        ret->id_len = (uint32_t)id.len;
    }
    rv = read_public(s, object, type, ret);
    if (rv != CKR_OK)
        return rv;
    set_alg(ret);
    rv = read_attrs(s, object, ret);
    return rv == CKR_OK ? judge(s, object, ret, ret_unfit) : rv;
}
