/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/provider.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

/*
 * A key as text, laid out as that of a private key, which is what clients pick
 * their numbers from; and as PEM, which is the stub again. Everything public is
 * left to OpenSSL's own encoders, which get it by key_export().
 */

#define OCTETS_A_LINE 15
#define POINT_MAX (1 + 2 * JWK_COORD_MAX)

static void *encoder_new(void *provctx)
{
    return provctx;
}

static void encoder_free(void *ctx)
{
    (void)ctx;
}

static int encoder_does_selection(void *ctx, int selection)
{
    (void)ctx;
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
}

static int write_out(const struct prov *p, OSSL_CORE_BIO *out,
                     const struct buf *b)
{
    size_t done = 0;

    return p->bio_write_ex(out, b->data, b->len, &done) == 1 && done == b->len;
}

static int put_octets(struct buf *b, const uint8_t *data, size_t len)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < len; i++)
        r = buf_printf(b, "%s%02x%s", i % OCTETS_A_LINE ? "" : "\n    ",
                       data[i], i + 1 < len ? ":" : "\n");
    return r;
}

/* As a signed number, which OpenSSL writes it as. */
static int put_modulus(struct buf *b, const struct jwk *key)
{
    uint8_t n[1 + JWK_RSA_MAX] = { 0 };
    bool zero = key->n[0] & 0x80;

    memcpy(n + 1, key->n, key->n_len);
    return put_octets(b, zero ? n : n + 1, key->n_len + (zero ? 1 : 0));
}

static unsigned long long exponent(const struct jwk *key)
{
    unsigned long long e = 0;

    for (size_t i = 0; i < key->e_len; i++)
        e = e << 8 | key->e[i];
    return e;
}

static int put_rsa(struct buf *b, const struct jwk *key)
{
    unsigned long long e = exponent(key);
    int bits = (int)key->n_len * 8;
    int r;

    for (unsigned top = key->n[0]; top < 0x80; top <<= 1)
        bits--;
    r = buf_printf(b, "Private-Key: (%d bit, 2 primes)\nmodulus:", bits);
    if (r == 0)
        r = put_modulus(b, key);
    if (r == 0)
        r = buf_printf(b, "publicExponent: %llu (0x%llx)\n", e, e);
    return r;
}

static int put_ec(struct buf *b, const struct jwk *key)
{
    bool p384 = key->type == JWK_TYPE_P384;
    size_t len = jwk_coord_len(key);
    uint8_t point[POINT_MAX] = { 0x04 };
    int r;

    memcpy(point + 1, key->x, len);
    memcpy(point + 1 + len, key->y, len);
    r = buf_printf(b, "Private-Key: (%zu bit)\npub:", len * 8);
    if (r == 0)
        r = put_octets(b, point, 1 + 2 * len);
    if (r == 0)
        r = buf_printf(b, "ASN1 OID: %s\nNIST CURVE: %s\n",
                       p384 ? "secp384r1" : "prime256v1",
                       p384 ? "P-384" : "P-256");
    return r;
}

/* The last line is for people, and out of the way of scripts. */
static int encode_text(void *ctx, OSSL_CORE_BIO *out, const void *raw,
                       const OSSL_PARAM abstract[], int selection,
                       OSSL_PASSPHRASE_CALLBACK *passphrase, void *pass_arg)
{
    const struct prov_key *key = raw;
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    (void)selection;
    (void)passphrase;
    (void)pass_arg;
    if (!key || abstract)
        return 0;
    r = prov_key_is_rsa(key) ? put_rsa(&b, &key->stub.key)
                             : put_ec(&b, &key->stub.key);
    if (r == 0)
        r = buf_printf(&b, "Held by acme-guardian: account %s at %s\n",
                       key->stub.account, key->stub.socket);
    return r == 0 && write_out(ctx, out, &b);
}

static int encode_pem(void *ctx, OSSL_CORE_BIO *out, const void *raw,
                      const OSSL_PARAM abstract[], int selection,
                      OSSL_PASSPHRASE_CALLBACK *passphrase, void *pass_arg)
{
    const struct prov_key *key = raw;
    CLEANUP_BUF struct buf b = { 0 };

    (void)selection;
    (void)passphrase;
    (void)pass_arg;
    if (!key || abstract)
        return 0;
    return stub_format(&key->stub, &b, NULL) == 0 && write_out(ctx, out, &b);
}

/* Programs that encrypt what they save can go on: there is nothing to hide in a
 * stub, so it is written as it is. */
static int pem_set_params(void *ctx, const OSSL_PARAM params[])
{
    (void)ctx;
    (void)params;
    return 1;
}

static const OSSL_PARAM *pem_settable(void *provctx)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_ENCODER_PARAM_CIPHER, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)provctx;
    return params;
}

#define COMMON_FUNCTIONS                                                       \
    { OSSL_FUNC_ENCODER_NEWCTX, (void (*)(void))encoder_new },                 \
        { OSSL_FUNC_ENCODER_FREECTX, (void (*)(void))encoder_free },           \
    {                                                                          \
        OSSL_FUNC_ENCODER_DOES_SELECTION,                                      \
            (void (*)(void))encoder_does_selection                             \
    }

static const OSSL_DISPATCH text_functions[] = {
    COMMON_FUNCTIONS,
    { OSSL_FUNC_ENCODER_ENCODE, (void (*)(void))encode_text },
    { 0, NULL },
};

static const OSSL_DISPATCH pem_functions[] = {
    COMMON_FUNCTIONS,
    { OSSL_FUNC_ENCODER_ENCODE, (void (*)(void))encode_pem },
    { OSSL_FUNC_ENCODER_SET_CTX_PARAMS, (void (*)(void))pem_set_params },
    { OSSL_FUNC_ENCODER_SETTABLE_CTX_PARAMS, (void (*)(void))pem_settable },
    { 0, NULL },
};

#define TEXT PROV_PROPERTIES ",output=text"
#define PEM(structure) PROV_PROPERTIES ",output=pem,structure=" structure
#define DESCRIPTION "acme-guardian stub"

const OSSL_ALGORITHM prov_encoders[] = {
    { PROV_RSA, TEXT, text_functions, DESCRIPTION },
    { PROV_RSA, PEM("PrivateKeyInfo"), pem_functions, DESCRIPTION },
    { PROV_RSA, PEM("type-specific"), pem_functions, DESCRIPTION },
    { PROV_RSA, PEM("pkcs1"), pem_functions, DESCRIPTION },
    { PROV_EC, TEXT, text_functions, DESCRIPTION },
    { PROV_EC, PEM("PrivateKeyInfo"), pem_functions, DESCRIPTION },
    { PROV_EC, PEM("type-specific"), pem_functions, DESCRIPTION },
    { NULL, NULL, NULL, NULL },
};
