/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/denied.h"

#include <errno.h>

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

bool denied_has(const struct policy_set *policy, const char *domain)
{
    /* Only read. */
    struct identifier id = { .type = IDENTIFIER_DNS,
                             .value = params_borrow(domain) };
    const char *name;

    return policy_denies_any(policy, &(struct identifiers){ &id, 1 }, &name);
}
