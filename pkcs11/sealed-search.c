/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/sealed.h"

#include <stdio.h>
#include <string.h>

#include "pkcs11/token-uri.h"

struct listing {
    const struct sealed_store *store;
    const char *prefix;
    uint32_t skip;
    struct token_key *keys;
    size_t n;
};

static int list_one(const char *label, void *userdata)
{
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    struct listing *l = userdata;
    struct token_key *out = &l->keys[l->n];
    struct seal_key key;

    if (strncmp(label, l->prefix, strlen(l->prefix)) != 0)
        return 0;
    if (l->skip > 0) {
        l->skip--;
        return 0;
    }
    *out = (struct token_key){ 0 };
    if (sealed_store_read(l->store, label, &key, &pkcs8, NULL, NULL) == 0)
        *out = sealed_describe(&key);
    else /* there, and of no use: find() says why */
        (void)snprintf(out->label, sizeof(out->label), "%s", label);
    return ++l->n == TOKEN_LIST_MAX;
}

enum token_result sealed_list(struct backend_session *s, const char *prefix,
                              uint32_t skip,
                              struct token_key ret_keys[static TOKEN_LIST_MAX],
                              size_t *ret_n, struct backend_error *reterr)
{
    struct listing l = { .prefix = prefix, .skip = skip };
    struct sealed_store *store = NULL;
    struct errmsg e = { 0 };
    enum token_result result;
    int r;

    result = sealed_store_of(s, &store, reterr);
    if (result != TOKEN_S_OK)
        return result;
    l.store = store;
    l.keys = ret_keys;
    r = sealed_store_each(store, list_one, &l);
    if (r < 0)
        return sealed_fail(r, &e, reterr);
    *ret_n = l.n;
    return TOKEN_S_OK;
}

struct search {
    struct backend_session *s;
    const CK_ATTRIBUTE *id;
    struct backend_key found;
    bool any;
};

static int search_one(const char *label, void *userdata)
{
    struct search *w = userdata;
    struct backend_key k;

    if (sealed_find(w->s, label, &k, NULL) != TOKEN_S_OK ||
        w->id->ulValueLen != k.key.id_len ||
        memcmp(w->id->pValue, k.key.id, k.key.id_len) != 0)
        return 0;
    w->found = k;
    w->any = true;
    return 1;
}

static enum token_result find_by_id(struct backend_session *s,
                                    const CK_ATTRIBUTE *id,
                                    struct backend_key *ret,
                                    struct backend_error *reterr)
{
    struct search w = { .s = s, .id = id };
    struct sealed_store *store = NULL;
    struct errmsg e = { 0 };
    enum token_result result;
    int r;

    result = sealed_store_of(s, &store, reterr);
    if (result != TOKEN_S_OK)
        return result;
    r = sealed_store_each(store, search_one, &w);
    if (r < 0)
        return sealed_fail(r, &e, reterr);
    if (!w.any)
        return backend_fail(reterr, TOKEN_S_NO_KEY, BACKEND_CURE_NONE, 0,
                            "no key of that id");
    *ret = w.found;
    return TOKEN_S_OK;
}

enum token_result sealed_find_uri(struct backend_session *s, const char *text,
                                  struct backend_key *ret,
                                  struct backend_error *reterr)
{
    CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
    const CK_ATTRIBUTE *label;
    const CK_ATTRIBUTE *id;
    char name[TOKEN_LABEL_MAX + 1];
    struct backend_key key;
    CK_TOKEN_INFO us;
    enum token_result r;

    r = key_uri_parse(text, &uri, reterr);
    if (r != TOKEN_S_OK)
        return r;
    us = token_uri_info(s->b->settings->name, SEALED_MANUFACTURER, SEALED_MODEL,
                        s->b->serial);
    if (!p11_kit_uri_match_token_info(uri, &us))
        return refuse_token(reterr, TOKEN_S_NO_KEY,
                            "the URI names another token");
    label = p11_kit_uri_get_attribute(uri, CKA_LABEL);
    id = p11_kit_uri_get_attribute(uri, CKA_ID);
    if (!label)
        return find_by_id(s, id, ret, reterr);
    if (label->ulValueLen > TOKEN_LABEL_MAX)
        return refuse_token(reterr, TOKEN_S_NO_KEY, "no label is that long");
    (void)snprintf(name, sizeof(name), "%.*s", (int)label->ulValueLen,
                   (const char *)label->pValue);
    r = sealed_find(s, name, &key, reterr);
    if (r != TOKEN_S_OK)
        return r;
    if (id && (id->ulValueLen != key.key.id_len ||
               memcmp(id->pValue, key.key.id, key.key.id_len) != 0))
        return refuse_token(reterr, TOKEN_S_NO_KEY,
                            "the key of that label has another id");
    *ret = key;
    return TOKEN_S_OK;
}
