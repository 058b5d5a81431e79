/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/open-keys.h"

#include <string.h>

enum token_result open_keys_new(struct backend *b, struct backend_session **ret,
                                struct backend_error *reterr)
{
    struct backend_session *s = calloc(1, sizeof(*s));

    if (!s)
        return backend_fail(reterr, TOKEN_S_FULL, BACKEND_CURE_NONE, 0,
                            "out of memory");
    s->b = b;
    *ret = s;
    return TOKEN_S_OK;
}

enum token_result open_keys_reset(struct backend_session *s,
                                  struct backend_error *reterr)
{
    (void)reterr;
    for (size_t i = 0; i < OPEN_KEYS_MAX; i++)
        open_key_forget(&s->keys[i]);
    return TOKEN_S_OK;
}

void open_keys_free(struct backend_session *s)
{
    if (!s)
        return;
    (void)open_keys_reset(s, NULL);
    free(s);
}

void open_key_forget(struct open_key *k)
{
    (void)evp_signer_free(k->signer);
    *k = (struct open_key){ 0 };
}

struct open_key *open_keys_get(struct backend_session *s, const char *label)
{
    for (size_t i = 0; i < OPEN_KEYS_MAX; i++) {
        struct open_key *k = &s->keys[i];

        if (k->signer && strcmp(k->key.key.label, label) == 0) {
            k->used = ++s->clock;
            return k;
        }
    }
    return NULL;
}

/* A free place counts as used before all others. */
static struct open_key *used_longest_ago(struct backend_session *s)
{
    struct open_key *k = &s->keys[0];

    for (size_t i = 1; i < OPEN_KEYS_MAX; i++) {
        if (s->keys[i].used < k->used)
            k = &s->keys[i];
    }
    return k;
}

struct open_key *open_keys_put(struct backend_session *s,
                               const struct token_key *key,
                               struct evp_signer *signer)
{
    struct open_key *k = open_keys_get(s, key->label);

    if (!k)
        k = used_longest_ago(s);
    open_key_forget(k);
    k->key.key = *key;
    k->signer = signer;
    k->used = ++s->clock;
    return k;
}

bool open_key_is(const struct open_key *k, const struct backend_key *key)
{
    return bytes_eq((struct bytes){ k->key.key.spki, k->key.key.spki_len },
                    (struct bytes){ key->key.spki, key->key.spki_len });
}
