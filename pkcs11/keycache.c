/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/keycache.h"

#include <string.h>

#include "pkcs11/signature.h"

static void entry_free(struct keycache_entry *e)
{
    if (!e)
        return;
    EVP_PKEY_free(e->pub);
    free(e);
}

/* FNV-1a; labels come from the daemon, not from its clients. */
static struct keycache_entry **slot(struct keycache *c, const char *label)
{
    uint32_t h = 2166136261u;

    for (; *label; label++)
        h = (h ^ (unsigned char)*label) * 16777619u;
    return &c->slots[(h ^ (h >> 16)) % KEYCACHE_SLOTS];
}

struct keycache_entry *keycache_get(struct keycache *c, const char *label,
                                    uint32_t epoch)
{
    struct keycache_entry *e;

    if (c->epoch != epoch) {
        keycache_clear(c);
        c->epoch = epoch;
    }
    e = *slot(c, label);
    return e && strcmp(e->key.key.label, label) == 0 ? e : NULL;
}

enum token_result keycache_put(struct keycache *c,
                               const struct backend_key *key,
                               struct keycache_entry **ret,
                               struct backend_error *reterr)
{
    struct keycache_entry **place = slot(c, key->key.label);
    struct keycache_entry *e = calloc(1, sizeof(*e));

    if (!e)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "out of memory");
    e->key = *key;
    if (signature_key((struct bytes){ key->key.spki, key->key.spki_len },
                      &e->pub) == 0)
        e->sig_len = signature_len(e->pub);
    if (e->sig_len == 0 || signature_alg(e->pub) != key->key.alg) {
        entry_free(e);
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "key %s has no public key that we sign with",
                            key->key.label);
    }
    entry_free(*place);
    *place = e;
    *ret = e;
    return TOKEN_S_OK;
}

void keycache_clear(struct keycache *c)
{
    for (size_t i = 0; i < KEYCACHE_SLOTS; i++) {
        entry_free(c->slots[i]);
        c->slots[i] = NULL;
    }
}
