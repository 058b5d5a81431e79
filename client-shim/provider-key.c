/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/provider.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

/*
 * Keys as OpenSSL sees them. The private half is elsewhere, and the one rule is
 * never to pass the public half for a whole key: OpenSSL would take it to its
 * own provider, and sign there with what is not there.
 */

#define EC_POINT_MAX (1 + 2 * JWK_COORD_MAX)
#define ECDSA_DER_MAX(coord) (2 * ((coord) + 3) + 2) /* under 128 octets */

/* What OpenSSL says of a missing SHA-256 must not be the first thing in its
 * queue: it takes that for a file that it should read on in. */
static int put_thumbprint(struct prov_key *key)
{
    int r;

    (void)ERR_set_mark();
    r = jwk_thumbprint_text(&key->stub.key, key->thumbprint);
    (void)ERR_pop_to_mark();
    return r;
}

struct prov_key *prov_key_new(const struct prov *p, const struct stub *stub)
{
    struct prov_key *key = calloc(1, sizeof(*key));

    if (!key) {
        prov_raise(p, PROV_E_MEMORY, "no memory for a key");
        return NULL;
    }
    *key = (struct prov_key){ .refs = 1, .prov = p, .stub = *stub };
    if (put_thumbprint(key) != 0) {
        prov_raise(p, PROV_E_CONFIG,
                   "bad configuration: OpenSSL's own provider, default, is not "
                   "active");
        return prov_key_unref(key);
    }
    if (guardian_new(stub->socket, &key->guardian) != GUARDIAN_OK ||
        guardian_set_timeout(key->guardian, p->timeout_ms) != GUARDIAN_OK) {
        prov_raise(p, PROV_E_MEMORY, "no memory for a key");
        return prov_key_unref(key);
    }
    /* That it is not there now is told by the first signature, if it is not
     * there then: a program must start without the daemon, too. */
    if (p->connect_at_load)
        (void)guardian_connect(key->guardian, NULL);
    return key;
}

struct prov_key *prov_key_ref(struct prov_key *key)
{
    key->refs++;
    return key;
}

struct prov_key *prov_key_unref(struct prov_key *key)
{
    if (key && --key->refs == 0) {
        guardian_free(key->guardian);
        free(key);
    }
    return NULL;
}

bool prov_key_is_rsa(const struct prov_key *key)
{
    return key->stub.key.type == JWK_TYPE_RSA;
}

size_t prov_key_signature_max(const struct prov_key *key)
{
    if (prov_key_is_rsa(key))
        return key->stub.key.n_len;
    return ECDSA_DER_MAX(jwk_coord_len(&key->stub.key));
}

const char *prov_key_digest(const struct prov_key *key)
{
    return key->stub.key.type == JWK_TYPE_P384 ? "SHA384" : "SHA256";
}

static const char *group_name(const struct prov_key *key)
{
    return key->stub.key.type == JWK_TYPE_P384 ? "secp384r1" : "prime256v1";
}

static size_t put_point(const struct jwk *jwk, uint8_t ret[static EC_POINT_MAX])
{
    size_t len = jwk_coord_len(jwk);

    ret[0] = 0x04; /* uncompressed */
    memcpy(ret + 1, jwk->x, len);
    memcpy(ret + 1 + len, jwk->y, len);
    return 1 + 2 * len;
}

static bool set_number(OSSL_PARAM *params, const char *name,
                       const uint8_t *data, size_t len)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);
    BIGNUM *n;
    bool good;

    if (!p)
        return true;
    n = BN_bin2bn(data, (int)len, NULL);
    good = n && OSSL_PARAM_set_BN(p, n) == 1;
    BN_free(n);
    return good;
}

static bool set_int(OSSL_PARAM *params, const char *name, int value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

    return !p || OSSL_PARAM_set_int(p, value) == 1;
}

static bool set_text(OSSL_PARAM *params, const char *name, const char *value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

    return !p || OSSL_PARAM_set_utf8_string(p, value) == 1;
}

static bool set_octets(OSSL_PARAM *params, const char *name, const void *data,
                       size_t len)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

    return !p || OSSL_PARAM_set_octet_string(p, data, len) == 1;
}

static bool set_rsa(const struct prov_key *key, OSSL_PARAM *params)
{
    const struct jwk *jwk = &key->stub.key;

    return set_number(params, OSSL_PKEY_PARAM_RSA_N, jwk->n, jwk->n_len) &&
           set_number(params, OSSL_PKEY_PARAM_RSA_E, jwk->e, jwk->e_len);
}

/* The coordinates too: clients ask for them, and OpenSSL derives none. */
static bool set_ec(const struct prov_key *key, OSSL_PARAM *params)
{
    const struct jwk *jwk = &key->stub.key;
    uint8_t point[EC_POINT_MAX];
    size_t len = put_point(jwk, point);
    size_t half = jwk_coord_len(jwk);

    return set_text(params, OSSL_PKEY_PARAM_GROUP_NAME, group_name(key)) &&
           set_octets(params, OSSL_PKEY_PARAM_PUB_KEY, point, len) &&
           set_octets(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, len) &&
           set_number(params, OSSL_PKEY_PARAM_EC_PUB_X, jwk->x, half) &&
           set_number(params, OSSL_PKEY_PARAM_EC_PUB_Y, jwk->y, half);
}

static int key_bits(const struct prov_key *key)
{
    const struct jwk *jwk = &key->stub.key;
    int bits = (int)jwk->n_len * 8;

    if (!prov_key_is_rsa(key))
        return (int)jwk_coord_len(jwk) * 8;
    for (unsigned top = jwk->n[0]; top < 0x80; top <<= 1)
        bits--;
    return bits;
}

static int security_bits(const struct prov_key *key)
{
    if (prov_key_is_rsa(key))
        return BN_security_bits(key_bits(key), -1);
    return key_bits(key) / 2;
}

static int key_get_params(void *keydata, OSSL_PARAM params[])
{
    const struct prov_key *key = keydata;

    return set_int(params, OSSL_PKEY_PARAM_BITS, key_bits(key)) &&
           set_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, security_bits(key)) &&
           set_int(params, OSSL_PKEY_PARAM_MAX_SIZE,
                   (int)prov_key_signature_max(key)) &&
           set_text(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST,
                    prov_key_digest(key)) &&
           (prov_key_is_rsa(key) ? set_rsa(key, params) : set_ec(key, params));
}

#define COMMON_PARAMS                                                          \
    OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),                                \
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),                   \
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),                        \
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0)

static const OSSL_PARAM *rsa_gettable(void *provctx)
{
    static const OSSL_PARAM params[] = {
        COMMON_PARAMS,
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provctx;
    return params;
}

static const OSSL_PARAM *ec_gettable(void *provctx)
{
    static const OSSL_PARAM params[] = {
        COMMON_PARAMS,
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provctx;
    return params;
}

static void *key_load(const void *reference, size_t size)
{
    const struct prov_reference *from = reference;

    if (size != sizeof(*from) || !from->key)
        return NULL;
    return prov_key_ref(from->key);
}

static void key_free(void *keydata)
{
    prov_key_unref(keydata);
}

static int key_has(const void *keydata, int selection)
{
    (void)selection;
    return keydata != NULL;
}

/* It was checked when it was read. */
static int key_validate(const void *keydata, int selection, int type)
{
    (void)selection;
    (void)type;
    return keydata != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
    const struct prov_key *one = a;
    const struct prov_key *other = b;

    if (selection & OSSL_KEYMGMT_SELECT_KEYPAIR)
        return jwk_eq(&one->stub.key, &other->stub.key);
    return one->stub.key.type == other->stub.key.type;
}

static void *key_dup(const void *keydata, int selection)
{
    union {
        const void *from;
        void *to;
    } cast = { .from = keydata };

    (void)selection;
    return prov_key_ref(cast.to);
}

static int export_rsa(const struct prov_key *key, OSSL_CALLBACK *fn, void *arg)
{
    uint8_t n[JWK_RSA_MAX], e[JWK_E_MAX];
    OSSL_PARAM params[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, n, key->stub.key.n_len),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, e, key->stub.key.e_len),
        OSSL_PARAM_END,
    };

    return set_rsa(key, params) && fn(params, arg);
}

static int export_ec(const struct prov_key *key, bool with_key,
                     OSSL_CALLBACK *fn, void *arg)
{
    uint8_t point[EC_POINT_MAX];
    size_t len = put_point(&key->stub.key, point);
    char group[16];
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group,
                               strlen(group_name(key))),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, len),
        OSSL_PARAM_END,
    };

    memcpy(group, group_name(key), strlen(group_name(key)) + 1);
    if (!with_key)
        params[1] = (OSSL_PARAM)OSSL_PARAM_END;
    return fn(params, arg);
}

static int key_export(void *keydata, int selection, OSSL_CALLBACK *fn,
                      void *arg)
{
    const struct prov_key *key = keydata;
    bool with_key = selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY;

    /* No error is raised: OpenSSL tries this before each signature. */
    if (!key || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY))
        return 0;
    if (prov_key_is_rsa(key))
        return with_key && export_rsa(key, fn, arg);
    return export_ec(key, with_key, fn, arg);
}

static const OSSL_PARAM *rsa_export_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };

    return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : types;
}

static const OSSL_PARAM *ec_export_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_END,
    };

    return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : types;
}

static const char *rsa_operation_name(int operation)
{
    (void)operation;
    return "RSA";
}

static const char *ec_operation_name(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

#define COMMON_FUNCTIONS                                                       \
    { OSSL_FUNC_KEYMGMT_LOAD, (void (*)(void))key_load },                      \
        { OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free },                  \
        { OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has },                    \
        { OSSL_FUNC_KEYMGMT_VALIDATE, (void (*)(void))key_validate },          \
        { OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))key_match },                \
        { OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))key_dup },                    \
        { OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))key_get_params },      \
    {                                                                          \
        OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))key_export                   \
    }

static const OSSL_DISPATCH rsa_functions[] = {
    COMMON_FUNCTIONS,
    { OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))rsa_gettable },
    { OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))rsa_export_types },
    { OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,
      (void (*)(void))rsa_operation_name },
    { 0, NULL },
};

static const OSSL_DISPATCH ec_functions[] = {
    COMMON_FUNCTIONS,
    { OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))ec_gettable },
    { OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))ec_export_types },
    { OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME,
      (void (*)(void))ec_operation_name },
    { 0, NULL },
};

const OSSL_ALGORITHM prov_keymgmts[] = {
    { PROV_RSA, PROV_PROPERTIES, rsa_functions, "acme-guardian RSA key" },
    { PROV_EC, PROV_PROPERTIES, ec_functions, "acme-guardian EC key" },
    { NULL, NULL, NULL, NULL },
};
