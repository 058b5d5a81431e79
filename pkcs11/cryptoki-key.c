/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finding, listing and destroying keys. */
#include "pkcs11/cryptoki.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11/token-uri.h"

#define LIST_OBJECTS_MAX 4096 /* private keys on one token that we look at */

/*
 * Nothing was found. That is an answer only from a token that is there and
 * logged in: a lost one finds nothing either, and "no such key" would make the
 * daemon believe that its key is gone.
 */
static enum token_result nothing_found(const struct backend_session *s,
                                       const char *what,
                                       struct backend_error *reterr)
{
    if (cryptoki_session_public(s->b, s->handle))
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_LOGIN, 0,
                            "the token has forgotten the login");
    if (!cryptoki_token_present(s->b))
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_SESSION, 0,
                            "the token is gone");
    return backend_fail(reterr, TOKEN_S_NO_KEY, BACKEND_CURE_NONE, 0,
                        "no private key %s", what);
}

/* One private key by what @template adds to its class. */
static enum token_result find_one(struct backend_session *s,
                                  const CK_ATTRIBUTE *more, CK_ULONG n_more,
                                  const char *what, struct backend_key *ret,
                                  struct backend_error *reterr)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[5] = { { CKA_CLASS, &class, sizeof(class) },
                                 { CKA_TOKEN, &yes, sizeof(yes) } };
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;
    const char *unfit = NULL;
    CK_RV rv;

    memcpy(template + 2, more, n_more * sizeof(*more));
    rv = cryptoki_search(s->b, s->handle, template, 2 + n_more, found, 2, &n);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "finding the key", reterr);
    if (n == 0)
        return nothing_found(s, what, reterr);
    if (n > 1)
        return refuse_token(reterr, TOKEN_S_AMBIGUOUS,
                            "more than one private key %s", what);
    rv = cryptoki_read_key(s, found[0], &ret->key, &unfit);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "reading the key", reterr);
    if (unfit)
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT, "key %s: %s", what,
                            unfit);
    ret->handle = found[0];
    return TOKEN_S_OK;
}

static enum token_result find(struct backend_session *s, const char *label,
                              struct backend_key *ret,
                              struct backend_error *reterr)
{
    char copy[TOKEN_LABEL_MAX + 8];
    CK_ATTRIBUTE by_label = { CKA_LABEL, copy, strlen(label) };
    struct backend_key key = { 0 };
    enum token_result r;

    memcpy(copy, label, strlen(label) + 1);
    r = find_one(s, &by_label, 1, label, &key, reterr);
    if (r != TOKEN_S_OK)
        return r;
    /* Found by a label that is then not to be read: no answer. */
    if (key.key.label[0] == '\0')
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_SESSION, 0,
                            "the token does not tell the label of %s", label);
    if (strcmp(key.key.label, label) != 0)
        return refuse_token(reterr, TOKEN_S_NO_KEY,
                            "the token gave another key for %s", label);
    *ret = key;
    return TOKEN_S_OK;
}

enum token_result cryptoki_find(struct backend_session *s, const char *label,
                                struct backend_key *ret,
                                struct backend_error *reterr)
{
    CLEANUP(cryptoki_turn_end)
    struct cryptoki_turn turn = cryptoki_turn_look(s->b);

    (void)turn;
    return find(s, label, ret, reterr);
}

enum token_result cryptoki_find_uri(struct backend_session *s, const char *text,
                                    struct backend_key *ret,
                                    struct backend_error *reterr)
{
    CLEANUP(cryptoki_turn_end)
    struct cryptoki_turn turn = cryptoki_turn_look(s->b);
    CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
    CK_ATTRIBUTE template[2];
    CK_ULONG n = 0;
    struct backend_key key = { 0 };
    struct backend_key by_label;
    enum token_result r = key_uri_parse(text, &uri, reterr);

    (void)turn;
    if (r != TOKEN_S_OK)
        return r;
    if (!p11_kit_uri_match_token_info(uri, &s->b->token))
        return refuse_token(reterr, TOKEN_S_NO_KEY,
                            "the URI names another token");
    for (int i = 0; i < 2; i++) {
        const CK_ATTRIBUTE *a =
            p11_kit_uri_get_attribute(uri, i ? CKA_ID : CKA_LABEL);

        if (a)
            template[n++] = *a;
    }
    r = find_one(s, template, n, "of that URI", &key, reterr);
    if (r != TOKEN_S_OK)
        return r;
    /* Signing names keys by label, so the label has to name this one. */
    if (key.key.label[0] == '\0')
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "the key has no label, or one of more than %d "
                            "octets",
                            TOKEN_LABEL_MAX);
    r = find(s, key.key.label, &by_label, reterr);
    if (r == TOKEN_S_OK)
        *ret = key;
    return r;
}

struct found {
    CK_OBJECT_HANDLE handle;
    char label[TOKEN_LABEL_MAX + 1];
};

static int by_label(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    int r = strcmp(x->label, y->label);

    if (r)
        return r;
    return x->handle < y->handle ? -1 : x->handle > y->handle;
}

/* All private keys with the prefix, sorted: pages must not overlap. */
static CK_RV collect(struct backend_session *s, const char *prefix,
                     struct found *found, size_t *ret_n)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof(class) },
                                { CKA_TOKEN, &yes, sizeof(yes) } };
    CLEANUP_FREE CK_OBJECT_HANDLE *all = calloc(LIST_OBJECTS_MAX, sizeof(*all));
    struct cryptoki_value label;
    CK_ULONG n_all = 0;
    size_t n = 0;
    CK_RV rv;

    if (!all)
        return CKR_HOST_MEMORY;
    rv = cryptoki_search(s->b, s->handle, template, 2, all, LIST_OBJECTS_MAX,
                         &n_all);
    for (CK_ULONG i = 0; rv == CKR_OK && i < n_all; i++) {
        rv = cryptoki_read(s->b, s->handle, all[i], CKA_LABEL, &label);
        if (rv == CKR_OBJECT_HANDLE_INVALID) {
            rv = CKR_OK; /* destroyed meanwhile */
            continue;
        }
        if (rv != CKR_OK || label.len > TOKEN_LABEL_MAX ||
            label.len < strlen(prefix) ||
            memcmp(label.data, prefix, strlen(prefix)) != 0)
            continue;
        found[n] = (struct found){ .handle = all[i] };
        memcpy(found[n].label, label.data, label.len);
        n++;
    }
    qsort(found, n, sizeof(*found), by_label);
    *ret_n = n;
    return rv;
}

enum token_result cryptoki_list(struct backend_session *s, const char *prefix,
                                uint32_t skip,
                                struct token_key ret[static TOKEN_LIST_MAX],
                                size_t *ret_n, struct backend_error *reterr)
{
    CLEANUP(cryptoki_turn_end)
    struct cryptoki_turn turn = cryptoki_turn_look(s->b);
    CLEANUP_FREE struct found *found = calloc(LIST_OBJECTS_MAX, sizeof(*found));
    struct backend_error err;
    const char *unfit;
    size_t n_found = 0;
    size_t n = 0;
    CK_RV rv;

    (void)turn;
    if (!found)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "out of memory");
    rv = collect(s, prefix, found, &n_found);
    for (size_t i = skip; rv == CKR_OK && i < n_found && n < TOKEN_LIST_MAX;
         i++)
        rv = cryptoki_read_key(s, found[i].handle, &ret[n++], &unfit);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "listing keys", reterr);
    if (n_found == 0 && nothing_found(s, "at all", &err) != TOKEN_S_NO_KEY) {
        *reterr = err;
        return err.result;
    }
    *ret_n = n;
    return TOKEN_S_OK;
}

/* Public halves of the same label and CKA_ID go too, and nothing else. One that
 * stays behind harms nobody. */
static void destroy_public(const struct backend *b, CK_SESSION_HANDLE rw,
                           const struct token_key *key)
{
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    struct token_key copy = *key;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_LABEL, copy.label, strlen(copy.label) },
        { CKA_ID, copy.id, copy.id_len },
    };
    CK_OBJECT_HANDLE found[4];
    CK_ULONG n = 0;

    if (cryptoki_search(b, rw, template, ARRAY_LEN(template), found,
                        ARRAY_LEN(found), &n) != CKR_OK)
        return;
    for (CK_ULONG i = 0; i < n; i++)
        (void)b->f->C_DestroyObject(rw, found[i]);
}

static CK_RV destroy_pair(struct backend *b, CK_SESSION_HANDLE rw,
                          const struct backend_key *key)
{
    CLEANUP(cryptoki_turn_end)
    struct cryptoki_turn turn = cryptoki_turn_change(b);
    CK_RV rv = b->f->C_DestroyObject(rw, key->handle);

    (void)turn;
    cryptoki_has_destroyed(b);
    if (rv == CKR_OK)
        destroy_public(b, rw, &key->key);
    return rv;
}

enum token_result cryptoki_destroy(struct backend_session *s,
                                   const struct backend_key *key,
                                   struct backend_error *reterr)
{
    struct backend *b = s->b;
    CK_SESSION_HANDLE rw = CK_INVALID_HANDLE;
    CK_RV rv;

    pthread_mutex_lock(&b->lock);
    rv = cryptoki_open_session(b, CKF_RW_SESSION, &rw);
    pthread_mutex_unlock(&b->lock);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "C_OpenSession", reterr);
    rv = destroy_pair(b, rw, key);
    pthread_mutex_lock(&b->lock);
    cryptoki_close_session(b, rw);
    pthread_mutex_unlock(&b->lock);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "destroying the key", reterr);
    return TOKEN_S_OK;
}
