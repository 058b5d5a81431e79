/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/denied.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/params.h"

void denied_deinit(struct denied *d)
{
    store_denied_free(d->items, d->n);
    *d = (struct denied){ 0 };
}

int denied_load(struct denied *d, struct store *store)
{
    struct denied fresh = { 0 };
    int r;

    r = store_denied(store, &fresh.items, &fresh.n);
    if (r)
        return r;
    denied_deinit(d);
    *d = fresh;
    return 0;
}

int denied_apply(const struct denied *d, struct policy_set *policy,
                 struct errmsg *reterr)
{
    CLEANUP_FREE char **names = calloc(d->n + 1, sizeof(*names));
    int r = -ENOMEM;

    if (names) {
        for (size_t i = 0; i < d->n; i++)
            names[i] = d->items[i].name;
        r = policy_set_deny_now(policy, names);
    }
    if (r)
        errmsg_set(reterr, r == POLICY_E_INVALID
                               ? "a denied name in the registry is no domain"
                               : "out of memory for the denied names");
    return r;
}

int denied_renew(struct denied *d, struct store *store,
                 struct policy_set *policy, struct errmsg *reterr)
{
    struct denied fresh = { 0 };
    int r;

    r = denied_load(&fresh, store);
    if (r) {
        errmsg_set(reterr, "the registry cannot be read: error %d", -r);
        return r;
    }
    r = denied_apply(&fresh, policy, reterr);
    if (r) {
        denied_deinit(&fresh);
        return r;
    }
    denied_deinit(d);
    *d = fresh;
    return 0;
}

bool denied_has(const struct policy_set *policy, const char *domain)
{
    /* Only read. */
    struct identifier id = { .type = IDENTIFIER_DNS,
                             .value = params_borrow(domain) };
    const char *name;

    return policy_denies_any(policy, &(struct identifiers){ &id, 1 }, &name);
}

static int compare_name(const void *key, const void *item)
{
    const struct store_denied *x = item;

    return strcmp(key, x->name);
}

/* NULL at the end. */
static const char *parent_of(const char *domain)
{
    const char *dot = strchr(domain, '.');

    return dot ? dot + 1 : NULL;
}

bool denied_say(const struct denied *d, const struct policy_set *policy,
                const char *domain, struct errmsg *ret)
{
    const struct store_denied *x = NULL;
    const char *name = NULL;
    char since[32] = "";
    struct tm tm = { 0 };

    for (; domain; domain = parent_of(domain)) {
        if (!x && d->n > 0)
            x = bsearch(domain, d->items, d->n, sizeof(*x), compare_name);
        if (denied_has(policy, domain))
            name = domain; /* of several the one above all others */
    }
    if (!x && !name)
        return false;
    if (!x) {
        errmsg_set(ret, "%.253s is denied by [Deny] Domain= of guardian.conf",
                   name);
        return true;
    }
    if (gmtime_r(&(time_t){ x->since_s }, &tm))
        (void)strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
    errmsg_set(ret,
               "%.253s is denied since %s by %.32s; guardianctl names allow "
               "%.253s undoes that",
               x->name, since, x->by, x->name);
    return true;
}
