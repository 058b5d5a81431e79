/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Only references of EVP_PKEYs outlive the lock: libp11 moves its list of keys
 * with every listing.
 */
#include "pkcs11/libp11-backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "pkcs11/signature.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

/* b->lock is held. */
static enum token_result enumerate(struct backend *b, PKCS11_KEY **ret,
                                   unsigned *ret_n,
                                   struct backend_error *reterr)
{
    ERR_clear_error();
    if (!b->logged_in)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_LOGIN, 0,
                            "not logged in");
    if (PKCS11_enumerate_keys(b->slot->token, ret, ret_n) == 0)
        return TOKEN_S_OK;
    /* No error at all is how it says that it met a type it does not know. */
    if (ERR_peek_error() == 0)
        return backend_fail(reterr, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE, 0,
                            "unsupported-by-backend: libp11 lists no key of "
                            "this token, as it does when one of them is of a "
                            "type it does not know (Ed25519); use "
                            "Backend=cryptoki");
    return libp11_fail("PKCS11_enumerate_keys failed", reterr);
}

/* What libp11 tells of a key: no attribute that would prove anything. */
static bool describe(PKCS11_KEY *key, struct token_key *ret,
                     EVP_PKEY **ret_pkey)
{
    EVP_PKEY *pkey = PKCS11_get_private_key(key);
    enum token_alg alg = pkey ? signature_alg(pkey) : TOKEN_ALG_UNSET;

    *ret = (struct token_key){ 0 };
    (void)snprintf(ret->label, TOKEN_LABEL_MAX + 1, "%s",
                   key->label ? key->label : "");
    if (key->id_len <= sizeof(ret->id)) {
        memcpy(ret->id, key->id, key->id_len);
        ret->id_len = (uint32_t)key->id_len;
    }
    if (alg != TOKEN_ALG_UNSET && alg != TOKEN_ALG_EDDSA) {
        ret->alg = alg;
        ret->spki_len = (uint32_t)signature_spki(pkey, ret->spki);
    }
    ERR_clear_error();
    if (ret_pkey)
        *ret_pkey = pkey;
    else
        EVP_PKEY_free(pkey);
    return ret->alg != TOKEN_ALG_UNSET && ret->spki_len > 0;
}

static PKCS11_KEY *only_match(PKCS11_KEY *keys, unsigned n, const char *label,
                              unsigned *ret_matches)
{
    PKCS11_KEY *found = NULL;

    *ret_matches = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!keys[i].isPrivate || !keys[i].label ||
            strcmp(keys[i].label, label) != 0)
            continue;
        found = &keys[i];
        ++*ret_matches;
    }
    return found;
}

static enum token_result find_locked(struct backend *b, const char *label,
                                     struct token_key *ret, EVP_PKEY **ret_pkey,
                                     struct backend_error *reterr)
{
    PKCS11_KEY *keys = NULL;
    PKCS11_KEY *key;
    enum token_result r;
    unsigned n = 0;
    unsigned matches;

    r = enumerate(b, &keys, &n, reterr);
    if (r != TOKEN_S_OK)
        return r;
    key = only_match(keys, n, label, &matches);
    if (matches == 0)
        return refuse_token(reterr, TOKEN_S_NO_KEY, "no key is labelled %s",
                            label);
    if (matches > 1)
        return refuse_token(reterr, TOKEN_S_AMBIGUOUS,
                            "%u keys are labelled %s", matches, label);
    if (!describe(key, ret, ret_pkey))
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "key %s has no readable public key, or a type that "
                            "we do not sign with",
                            label);
    return TOKEN_S_OK;
}

static enum token_result find(struct backend_session *s, const char *label,
                              struct open_key **ret,
                              struct backend_error *reterr)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *pkey = NULL;
    struct evp_signer *signer = NULL;
    struct token_key key;
    enum token_result r;

    (void)pthread_mutex_lock(&s->b->lock);
    r = find_locked(s->b, label, &key, &pkey, reterr);
    (void)pthread_mutex_unlock(&s->b->lock);
    if (r != TOKEN_S_OK)
        return r;
    if (evp_signer_new(pkey, &signer))
        return libp11_fail("the key cannot be prepared for signing", reterr);
    *ret = open_keys_put(s, &key, signer);
    return TOKEN_S_OK;
}

enum token_result libp11_find(struct backend_session *s, const char *label,
                              struct backend_key *ret,
                              struct backend_error *reterr)
{
    struct open_key *k = NULL;
    enum token_result r = find(s, label, &k, reterr);

    if (!k)
        return r;
    *ret = k->key;
    return TOKEN_S_OK;
}

enum token_result libp11_sign(struct backend_session *s,
                              const struct backend_key *key, struct bytes input,
                              uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                              size_t *ret_len, struct backend_error *reterr)
{
    struct open_key *k = open_keys_get(s, key->key.label);
    enum token_result r = TOKEN_S_OK;

    if (!k)
        r = find(s, key->key.label, &k, reterr);
    if (!k)
        return r;
    if (!open_key_is(k, key))
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_SESSION, 0,
                            "the key was replaced by another");
    ERR_clear_error();
    if (evp_signer_sign(k->signer, input, ret_sig, ret_len))
        return libp11_fail("the signature failed", reterr);
    return TOKEN_S_OK;
}

static int by_label(const void *a, const void *b)
{
    const struct token_key *x = a;
    const struct token_key *y = b;
    int r = strcmp(x->label, y->label);

    return r ? r : memcmp(x->id, y->id, sizeof(x->id));
}

enum token_result libp11_list(struct backend_session *s, const char *prefix,
                              uint32_t skip,
                              struct token_key ret_keys[static TOKEN_LIST_MAX],
                              size_t *ret_n, struct backend_error *reterr)
{
    CLEANUP_FREE struct token_key *all = NULL;
    PKCS11_KEY *keys = NULL;
    enum token_result r;
    size_t n_all = 0;
    unsigned n = 0;

    (void)pthread_mutex_lock(&s->b->lock);
    r = enumerate(s->b, &keys, &n, reterr);
    if (r == TOKEN_S_OK) {
        all = calloc(n ? n : 1, sizeof(*all));
        for (unsigned i = 0; all && i < n; i++) {
            if (keys[i].isPrivate && keys[i].label &&
                strncmp(keys[i].label, prefix, strlen(prefix)) == 0)
                (void)describe(&keys[i], &all[n_all++], NULL);
        }
    }
    (void)pthread_mutex_unlock(&s->b->lock);
    if (r != TOKEN_S_OK)
        return r;
    if (!all)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "out of memory");
    qsort(all, n_all, sizeof(*all), by_label);
    *ret_n = 0;
    for (size_t i = skip; i < n_all && *ret_n < TOKEN_LIST_MAX; i++)
        ret_keys[(*ret_n)++] = all[i];
    return TOKEN_S_OK;
}
