/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/provider.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/params.h>

#include "acme/b64url.h"

/*
 * Signing whole requests, and nothing else: a program that hashes by itself and
 * passes a digest finds no such operation here.
 */

/* More than the daemon reads at all: refused before it is sent. */
#define INPUT_MAX (64 * 1024)

struct sign {
    const struct prov *prov;
    struct prov_key *key; /* NULL: not begun */
    struct buf input;
};

static void *sign_new(void *provctx, const char *properties)
{
    struct sign *s = calloc(1, sizeof(*s));

    (void)properties;
    if (s)
        s->prov = provctx;
    return s;
}

static void sign_free(void *ctx)
{
    struct sign *s = ctx;

    if (!s)
        return;
    prov_key_unref(s->key);
    buf_deinit(&s->input);
    free(s);
}

/* OpenSSL finishes a copy, so that the original can go on. */
static void *sign_dup(void *ctx)
{
    const struct sign *from = ctx;
    struct sign *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->prov = from->prov;
    if (from->key)
        s->key = prov_key_ref(from->key);
    if (buf_append(&s->input, from->input.data, from->input.len) != 0) {
        sign_free(s);
        return NULL;
    }
    return s;
}

/* JWS has one digest for each kind of key (RFC 7518 section 3.1). */
static bool digest_fits(const struct prov_key *key, const char *name)
{
    static const char *const names[][4] = {
        { "SHA256", "SHA2-256", "SHA-256", "2.16.840.1.101.3.4.2.1" },
        { "SHA384", "SHA2-384", "SHA-384", "2.16.840.1.101.3.4.2.2" },
    };
    size_t row = strcmp(prov_key_digest(key), names[0][0]) == 0 ? 0 : 1;

    for (size_t i = 0; i < ARRAY_LEN(names[row]); i++) {
        if (strcasecmp(name, names[row][i]) == 0)
            return true;
    }
    return false;
}

static int sign_init(void *ctx, const char *digest, void *keydata,
                     const OSSL_PARAM params[])
{
    struct sign *s = ctx;
    struct prov_key *key = keydata ? keydata : s->key;

    if (!key)
        return 0;
    if (digest && digest[0] && !digest_fits(key, digest)) {
        prov_raise(s->prov, PROV_E_DIGEST,
                   "%s: requests of this account are signed with %s", digest,
                   prov_key_digest(key));
        return 0;
    }
    if (params && params[0].key) {
        prov_raise(s->prov, PROV_E_PARAMETER, "%s: nothing can be set",
                   params[0].key);
        return 0;
    }
    (void)prov_key_ref(key);
    prov_key_unref(s->key);
    s->key = key;
    buf_clear(&s->input);
    return 1;
}

static int no_request(const struct sign *s)
{
    prov_raise(s->prov, PROV_E_NO_REQUEST,
               "not an ACME request: account keys of acme-guardian sign "
               "nothing but requests to their CA (RFC 8555 section 6.2)");
    return 0;
}

static int sign_update(void *ctx, const unsigned char *data, size_t len)
{
    struct sign *s = ctx;

    if (!s->key)
        return 0;
    if (len > INPUT_MAX || s->input.len + len > INPUT_MAX)
        return no_request(s);
    if (buf_append(&s->input, data, len) != 0) {
        prov_raise(s->prov, PROV_E_MEMORY, "no memory for a request");
        return 0;
    }
    return 1;
}

/* The signing input is base64url, a dot, base64url (RFC 7515 section 5.1). */
static bool split(struct buf *input, const char **ret_protected,
                  const char **ret_payload)
{
    struct bytes rest = buf_bytes(input);
    size_t head = b64url_span(rest);

    if (head == 0 || head == rest.len || rest.data[head] != '.')
        return false;
    rest.data += head + 1;
    rest.len -= head + 1;
    if (b64url_span(rest) != rest.len)
        return false;
    input->data[head] = 0;
    *ret_protected = (const char *)input->data;
    *ret_payload = (const char *)rest.data;
    return true;
}

/* r || s as OpenSSL wants it. */
static int put_ecdsa(struct bytes raw, unsigned char *ret, size_t *ret_len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    int half = (int)(raw.len / 2);
    BIGNUM *r = BN_bin2bn(raw.data, half, NULL);
    BIGNUM *s = BN_bin2bn(raw.data + half, half, NULL);
    int len = -1;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        len = i2d_ECDSA_SIG(sig, &ret);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    if (len <= 0)
        return -ENOMEM;
    *ret_len = (size_t)len;
    return 0;
}

/* @ret has room for the longest. */
static int put_signature(const struct prov_key *key, const char *text,
                         unsigned char *ret, size_t *ret_len)
{
    CLEANUP_BUF struct buf raw = { 0 };
    int r;

    r = b64url_decode(bytes_from_str(text), &raw, NULL);
    if (r)
        return r;
    if (raw.len != jws_signature_len(&key->stub.key))
        return REFUSED;
    if (!prov_key_is_rsa(key))
        return put_ecdsa(buf_bytes(&raw), ret, ret_len);
    memcpy(ret, raw.data, raw.len);
    *ret_len = raw.len;
    return 0;
}

static int sign(struct sign *s, unsigned char *ret, size_t *ret_len)
{
    struct guardian_sign_input input = { .account = s->key->stub.account,
                                         .thumbprint = s->key->thumbprint };
    struct guardian_error *e = NULL;
    struct guardian_jws *jws = NULL;
    int r;

    if (!split(&s->input, &input.protected_, &input.payload))
        return no_request(s);
    r = guardian_sign_input(s->key->guardian, &input, &jws, &e);
    if (r) {
        prov_raise_guardian(s->key, r, e);
        guardian_error_free(e);
        return 0;
    }
    r = put_signature(s->key, jws->signature, ret, ret_len);
    guardian_jws_free(jws);
    if (r)
        prov_raise(s->prov, PROV_E_SIGNATURE,
                   "what the guardian at %s answered is no signature of this "
                   "account's key",
                   s->key->stub.socket);
    return r == 0;
}

/* Asked for by whoever signs certificates or requests for them, before anything
 * is signed: they have no other error to show. */
static int sign_get_params(void *ctx, OSSL_PARAM params[])
{
    (void)params;
    return no_request(ctx);
}

static const OSSL_PARAM *sign_gettable(void *ctx, void *provctx)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)ctx;
    (void)provctx;
    return params;
}

/* Called for the size first, which is no reason to ask the daemon. */
static int sign_final(void *ctx, unsigned char *sig, size_t *len, size_t size)
{
    struct sign *s = ctx;

    if (!s->key)
        return 0;
    if (!sig) {
        *len = prov_key_signature_max(s->key);
        return 1;
    }
    if (size < prov_key_signature_max(s->key)) {
        prov_raise(s->prov, PROV_E_BUFFER, "%zu octets, %zu are needed", size,
                   prov_key_signature_max(s->key));
        return 0;
    }
    return sign(s, sig, len);
}

static const OSSL_DISPATCH functions[] = {
    { OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))sign_new },
    { OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))sign_free },
    { OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))sign_dup },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))sign_init },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))sign_update },
    { OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))sign_final },
    { OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, (void (*)(void))sign_get_params },
    { OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, (void (*)(void))sign_gettable },
    { 0, NULL },
};

const OSSL_ALGORITHM prov_signatures[] = {
    { PROV_RSA, PROV_PROPERTIES, functions, "acme-guardian RS256" },
    { "ECDSA", PROV_PROPERTIES, functions, "acme-guardian ES256, ES384" },
    { NULL, NULL, NULL, NULL },
};
