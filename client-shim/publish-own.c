/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/publish-own.h"

#include <errno.h>
#include <string.h>

#include "acme/persist.h"
#include "base/array.h"

#define ANY_ISSUER "*" /* no host name */

void publish_own_deinit(struct publish_own *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->items[i]);
    free(o->items);
    *o = (struct publish_own){ 0 };
}

/* Neither part has a space. */
static char *make_key(const char *accounturi, const char *issuer)
{
    struct buf b = { 0 };
    int r = buf_printf(&b, "%s ", accounturi);

    if (r == 0)
        r = buf_append_str(&b, issuer);
    if (r) {
        buf_deinit(&b);
        return NULL;
    }
    for (uint8_t *p = b.data + b.len - strlen(issuer); *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p |= 0x20;
    }
    return buf_take_str(&b);
}

int publish_own_add(struct publish_own *o, const char *accounturi,
                    const char *issuer)
{
    char **more = array_grown(o->items, o->n, sizeof(*more));

    if (!more)
        return -ENOMEM;
    o->items = more;
    more[o->n] = make_key(accounturi, issuer ? issuer : ANY_ISSUER);
    if (!more[o->n])
        return -ENOMEM;
    o->n++;
    return 0;
}

struct adding {
    struct publish_own *own;
    const char *issuer; /* NULL: all */
    bool now, old;
};

static int add(const struct ours_account *a, enum ours_kind kind,
               const char *accounturi, void *userdata)
{
    const struct adding *x = userdata;
    bool is_now = kind == OURS_NOW || kind == OURS_REUSABLE;

    (void)a;
    /* Those of a rotation stay, unless all is to go. */
    if (kind == OURS_NEXT ? !x->now || !x->old : is_now ? !x->now : !x->old)
        return 0;
    return publish_own_add(x->own, accounturi, x->issuer);
}

int publish_own_add_value(struct publish_own *o, const struct ours_account *a,
                          const struct kept_value *v, bool old)
{
    struct adding x = {
        .own = o, .issuer = v->issuer, .now = !old, .old = old
    };

    return ours_each_uri(a, v->domain, add, &x);
}

int publish_own_add_account(struct publish_own *o, const struct ours_account *a,
                            const char *domain)
{
    struct adding x = { .own = o, .now = true, .old = true };

    return ours_each_uri(a, domain, add, &x);
}

int publish_own_add_key(struct publish_own *o, const char *prefix,
                        const char *url, const char *domain,
                        const char *thumbprint)
{
    const char *const names[] = { domain, "*" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_BUF struct buf uri = { 0 };
        struct refusal refusal;
        int r = persist_accounturi(prefix, names[i], thumbprint, url, &uri,
                                   &refusal);

        if (r == REFUSED)
            continue; /* a name that makes none has none */
        if (r == 0)
            r = publish_own_add(o, buf_str(&uri), NULL);
        if (r)
            return r;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void publish_own_sort(struct publish_own *o)
{
    size_t n = 0;

    if (o->n == 0)
        return;
    qsort(o->items, o->n, sizeof(*o->items), compare);
    for (size_t i = 0; i < o->n; i++) {
        if (n > 0 && strcmp(o->items[n - 1], o->items[i]) == 0)
            free(o->items[i]);
        else
            o->items[n++] = o->items[i];
    }
    o->n = n;
}

static bool has(const struct publish_own *o, const char *accounturi,
                const char *issuer)
{
    CLEANUP_FREE char *key = make_key(accounturi, issuer);

    return key && o->n &&
           bsearch(&key, o->items, o->n, sizeof(*o->items), compare);
}

bool publish_own_has(struct bytes value, void *userdata)
{
    CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
    enum persist_reason reason;

    if (persist_parse(value, &p, &reason))
        return false;
    return has(userdata, p.accounturi, p.issuer) ||
           has(userdata, p.accounturi, ANY_ISSUER);
}
