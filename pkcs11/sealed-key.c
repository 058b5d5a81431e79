/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Each session keeps the keys that it uses open for itself, so that signing
 * shares nothing between threads. Before each use a look at the file tells
 * whether another process has destroyed or replaced the key.
 */
#include "pkcs11/sealed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "pkcs11/softkey.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

/* Only what is true of software: nothing proves where else the key is. */
struct token_key sealed_describe(const struct seal_key *key)
{
    struct token_key k = {
        .alg = key->alg,
        .attrs = TOKEN_ATTR_SOFTWARE,
        .attrs_known = TOKEN_ATTR_SOFTWARE,
        .spki_len = (uint32_t)key->spki_len,
        .id_len = sizeof(k.id),
    };

    (void)snprintf(k.label, sizeof(k.label), "%s", key->label);
    memcpy(k.spki, key->spki, key->spki_len);
    (void)crypto_hash_sha256(k.id, key->spki, key->spki_len);
    return k;
}

static enum token_result open_key(struct backend_session *s,
                                  const struct sealed_store *store,
                                  const char *label, struct open_key **ret,
                                  struct backend_error *reterr)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *pkey = NULL;
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    CLEANUP_EVP_SIGNER struct evp_signer *signer = NULL;
    struct token_key described;
    struct open_key *place;
    struct sealed_stamp stamp;
    struct errmsg e = { 0 };
    struct seal_key key;
    int r;

    r = sealed_store_read(store, label, &key, &pkcs8, &stamp, &e);
    if (r == SEALED_E_NO_KEY)
        return refuse_token(reterr, TOKEN_S_NO_KEY, "no key is labelled %s",
                            label);
    if (r)
        return sealed_fail(r, &e, reterr);
    r = softkey_load(pkcs8, (struct bytes){ key.spki, key.spki_len }, &pkey);
    if (r == 0)
        r = evp_signer_new(pkey, &signer);
    if (r == -EINVAL)
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "the sealed key is none that we sign with");
    if (r)
        return sealed_fail(r, &e, reterr);
    described = sealed_describe(&key);
    place = open_keys_put(s, &described, TAKE_PTR(signer));
    place->stamp = stamp;
    *ret = place;
    return TOKEN_S_OK;
}

static enum token_result find_open(struct backend_session *s,
                                   const struct sealed_store *store,
                                   const char *label, struct open_key **ret,
                                   struct backend_error *reterr)
{
    struct open_key *k = open_keys_get(s, label);

    if (k && sealed_store_is_current(store, label, &k->stamp)) {
        *ret = k;
        return TOKEN_S_OK;
    }
    if (k)
        open_key_forget(k);
    return open_key(s, store, label, ret, reterr);
}

enum token_result sealed_find(struct backend_session *s, const char *label,
                              struct backend_key *ret,
                              struct backend_error *reterr)
{
    struct sealed_store *store = NULL;
    struct open_key *k = NULL;
    enum token_result r;

    r = sealed_store_of(s, &store, reterr);
    if (r == TOKEN_S_OK)
        r = find_open(s, store, label, &k, reterr);
    if (!k)
        return r;
    *ret = k->key;
    return TOKEN_S_OK;
}

/* A key that made room for others is opened again; one that is another by now
 * is not, and the ladder finds it. */
static enum token_result key_of(struct backend_session *s,
                                const struct sealed_store *store,
                                const struct backend_key *key,
                                struct open_key **ret,
                                struct backend_error *reterr)
{
    struct open_key *k = NULL;
    enum token_result r;

    r = find_open(s, store, key->key.label, &k, reterr);
    if (!k)
        return r;
    if (!open_key_is(k, key))
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_SESSION, 0,
                            "the sealed key was replaced by another");
    *ret = k;
    return TOKEN_S_OK;
}

enum token_result sealed_sign(struct backend_session *s,
                              const struct backend_key *key, struct bytes input,
                              uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                              size_t *ret_len, struct backend_error *reterr)
{
    struct sealed_store *store = NULL;
    struct open_key *k = NULL;
    enum token_result r;

    r = sealed_store_of(s, &store, reterr);
    if (r == TOKEN_S_OK)
        r = key_of(s, store, key, &k, reterr);
    if (!k)
        return r;
    if (evp_signer_sign(k->signer, input, ret_sig, ret_len))
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_SESSION, 0,
                            "OpenSSL could not sign");
    return TOKEN_S_OK;
}

static enum token_result make_key(struct sealed_store *store, const char *label,
                                  enum token_alg alg, unsigned rsa_bits,
                                  struct backend_error *reterr)
{
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    struct seal_key key = { .alg = alg };
    struct errmsg e = { 0 };
    int r;

    (void)snprintf(key.label, sizeof(key.label), "%s", label);
    r = softkey_generate(alg, rsa_bits, &pkcs8, key.spki, &key.spki_len);
    if (r == -EINVAL)
        return refuse_token(reterr, TOKEN_S_UNSUPPORTED,
                            "no such kind of key here");
    if (r == 0)
        r = sealed_store_add(store, &key, pkcs8, &e);
    if (r == SEALED_E_LABEL)
        return refuse_token(reterr, TOKEN_S_UNSUPPORTED, "%.200s", e.text);
    return r ? sealed_fail(r, &e, reterr) : TOKEN_S_OK;
}

enum token_result sealed_generate(struct backend_session *s, const char *label,
                                  enum token_alg alg, unsigned rsa_bits,
                                  struct backend_key *ret,
                                  struct backend_error *reterr)
{
    struct sealed_store *store = NULL;
    struct backend_key before;
    enum token_result r;

    r = sealed_store_of(s, &store, reterr);
    if (r != TOKEN_S_OK)
        return r;
    /* Adding would refuse it, too, but after making an RSA key. */
    r = sealed_find(s, label, &before, reterr);
    if (r == TOKEN_S_OK || r == TOKEN_S_KEY_UNFIT)
        return refuse_token(reterr, TOKEN_S_EXISTS, "the label is taken");
    if (r != TOKEN_S_NO_KEY)
        return r;
    r = make_key(store, label, alg, rsa_bits, reterr);
    return r == TOKEN_S_OK ? sealed_find(s, label, ret, reterr) : r;
}

enum token_result sealed_destroy(struct backend_session *s,
                                 const struct backend_key *key,
                                 struct backend_error *reterr)
{
    struct sealed_store *store = NULL;
    struct open_key *k = NULL;
    struct errmsg e = { 0 };
    enum token_result result;
    int r;

    result = sealed_store_of(s, &store, reterr);
    if (result == TOKEN_S_OK)
        result = key_of(s, store, key, &k, reterr);
    if (!k)
        return result;
    r = sealed_store_remove(store, k->key.key.label, &e);
    if (r)
        return sealed_fail(r, &e, reterr);
    open_key_forget(k);
    return TOKEN_S_OK;
}
