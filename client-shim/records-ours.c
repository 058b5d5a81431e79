/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-ours.h"

#include <errno.h>
#include <string.h>

#include "acme/persist.h"
#include "base/array.h"
#include "client-shim/ctl-print.h"

void ours_deinit(struct ours *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->items[i].earlier);
    free(o->items);
    *o = (struct ours){ 0 };
}

static int add_earlier(struct ours_account *a, const json_t *key)
{
    const char *account = ctl_string(key, "account");
    const char *thumbprint = ctl_string(key, "thumbprint");
    const char **more;

    if (!account || !thumbprint || strcmp(account, a->name) != 0 ||
        (a->thumbprint && strcmp(thumbprint, a->thumbprint) == 0))
        return 0;
    more = array_grown(a->earlier, a->n_earlier, sizeof(*more));
    if (!more)
        return -ENOMEM;
    a->earlier = more;
    more[a->n_earlier++] = thumbprint;
    return 0;
}

static int account_init(struct ours_account *a, const char *name,
                        const json_t *row, const json_t *keys)
{
    const json_t *meta = json_object_get(row, "meta");
    int r = 0;

    *a = (struct ours_account){
        .name = name,
        .url = ctl_string(row, "url"),
        .thumbprint = ctl_string(row, "thumbprint"),
        .prefix = ctl_string(meta, "accountHashPrefix"),
        .status = ctl_string(row, "status"),
    };
    for (size_t i = 0; r == 0 && i < json_array_size(keys); i++)
        r = add_earlier(a, json_array_get(keys, i));
    return r;
}

/* jansson's iterators want what they do not change unconst. */
static json_t *plain(const json_t *j)
{
    union {
        const json_t *borrowed;
        json_t *plain;
    } u = { j };

    return u.plain;
}

int ours_init(struct ours *ret, const json_t *accounts, const json_t *keys)
{
    struct ours o = { 0 };
    const char *name;
    json_t *row;
    int r = 0;

    o.items = calloc(json_object_size(accounts) + 1, sizeof(*o.items));
    if (!o.items)
        return -ENOMEM;
    json_object_foreach(plain(accounts), name, row)
    {
        if (r == 0)
            r = account_init(&o.items[o.n++], name, row, keys);
    }
    if (r)
        ours_deinit(&o);
    else
        *ret = o;
    return r;
}

static void take_next(struct ours_account *a, const char *thumbprint)
{
    size_t n = 0;

    a->next = thumbprint;
    for (size_t i = 0; i < a->n_earlier; i++) {
        if (strcmp(a->earlier[i], thumbprint) != 0)
            a->earlier[n++] = a->earlier[i];
    }
    a->n_earlier = n;
}

void ours_take_rotations(struct ours *o, const json_t *rotations)
{
    for (size_t i = 0; i < json_array_size(rotations); i++) {
        const json_t *x = json_array_get(rotations, i);
        const char *account = ctl_string(x, "account");
        const char *next = ctl_string(x, "newThumbprint");

        for (size_t k = 0; account && k < o->n; k++) {
            struct ours_account *a = &o->items[k];

            if (next && !ctl_true(x, "over") && a->thumbprint &&
                strcmp(a->name, account) == 0 &&
                strcmp(a->thumbprint, next) != 0)
                take_next(a, next);
        }
    }
}

const struct ours_account *ours_find(const struct ours *o, const char *name)
{
    for (size_t i = 0; i < o->n; i++) {
        if (strcmp(o->items[i].name, name) == 0)
            return &o->items[i];
    }
    return NULL;
}

struct each {
    const struct ours_account *account;
    ours_uri_fn fn;
    void *userdata;
};

static int give_bound(const struct each *e, const char *domain,
                      const char *thumbprint, enum ours_kind kind)
{
    CLEANUP_BUF struct buf uri = { 0 };
    struct refusal refusal;
    int r = persist_accounturi(e->account->prefix, domain, thumbprint,
                               e->account->url, &uri, &refusal);

    /* A name or prefix that makes none has none. */
    if (r == REFUSED)
        return 0;
    return r ? r : e->fn(e->account, kind, buf_str(&uri), e->userdata);
}

static int give_key(const struct each *e, const char *domain,
                    const char *thumbprint, enum ours_kind kind)
{
    int r = give_bound(e, domain, thumbprint, kind);

    return r ? r
             : give_bound(e, "*", thumbprint,
                          kind == OURS_NOW ? OURS_REUSABLE : kind);
}

int ours_each_uri(const struct ours_account *a, const char *domain,
                  ours_uri_fn fn, void *userdata)
{
    const struct each e = { a, fn, userdata };
    int r;

    if (!a->url)
        return 0;
    r = fn(a, a->prefix ? OURS_OTHER_FORM : OURS_NOW, a->url, userdata);
    if (r || !a->prefix)
        return r;
    if (a->thumbprint)
        r = give_key(&e, domain, a->thumbprint, OURS_NOW);
    if (r == 0 && a->next)
        r = give_key(&e, domain, a->next, OURS_NEXT);
    for (size_t i = 0; r == 0 && i < a->n_earlier; i++)
        r = give_key(&e, domain, a->earlier[i], OURS_EARLIER);
    return r;
}

struct judging {
    const char *accounturi;
    enum ours_kind kind;
};

static int compare(const struct ours_account *a, enum ours_kind kind,
                   const char *accounturi, void *userdata)
{
    struct judging *j = userdata;

    (void)a;
    if (strcmp(accounturi, j->accounturi) != 0)
        return 0;
    j->kind = kind;
    return 1;
}

static bool may_mean(const struct ours_account *a, const char *accounturi)
{
    if (!a->url)
        return false;
    return strcmp(a->url, accounturi) == 0 ||
           (a->prefix &&
            strncmp(a->prefix, accounturi, strlen(a->prefix)) == 0);
}

int ours_judge(const struct ours *o, const char *domain, const char *accounturi,
               enum ours_kind *ret_kind,
               const struct ours_account **ret_account)
{
    struct judging j = { .accounturi = accounturi };

    *ret_kind = OURS_NOT;
    *ret_account = NULL;
    for (size_t i = 0; i < o->n && j.kind == OURS_NOT; i++) {
        int r = 0;

        if (may_mean(&o->items[i], accounturi))
            r = ours_each_uri(&o->items[i], domain, compare, &j);
        if (r < 0)
            return r;
        if (j.kind != OURS_NOT)
            *ret_account = &o->items[i];
    }
    *ret_kind = j.kind;
    return 0;
}

const struct ours_account *ours_prefix_of(const struct ours *o,
                                          const char *accounturi)
{
    for (size_t i = 0; i < o->n; i++) {
        const char *prefix = o->items[i].prefix;

        if (prefix && strncmp(prefix, accounturi, strlen(prefix)) == 0)
            return &o->items[i];
    }
    return NULL;
}

const struct ours_account *ours_same_url(const struct ours *o,
                                         const struct ours_account *a)
{
    for (size_t i = 0; a->url && i < o->n; i++) {
        const struct ours_account *other = &o->items[i];

        if (other != a && other->url && strcmp(other->url, a->url) == 0)
            return other;
    }
    return NULL;
}
