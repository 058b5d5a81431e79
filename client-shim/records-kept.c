/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-kept.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

static void value_deinit(struct kept_value *v)
{
    free(v->account);
    free(v->domain);
    free(v->issuer);
    free(v->accounturi);
    free(v->value);
}

void records_kept_deinit(struct records_kept *k)
{
    for (size_t i = 0; i < k->n; i++)
        value_deinit(&k->items[i]);
    free(k->items);
    *k = (struct records_kept){ 0 };
}

int records_kept_add(struct records_kept *k, const struct records_value *v)
{
    struct kept_value *more = array_grown(k->items, k->n, sizeof(*more));
    struct kept_value one;

    if (!more)
        return -ENOMEM;
    k->items = more;
    one = (struct kept_value){ .account = strdup(v->account),
                               .domain = strdup(v->domain),
                               .issuer = strdup(v->issuer),
                               .accounturi = strdup(v->accounturi),
                               .value = strdup(v->value),
                               .until_s = v->until_s,
                               .wildcard = v->wildcard,
                               .reusable = v->reusable,
                               .key_bound = v->key_bound,
                               .staging = v->staging,
                               .denied = v->denied };
    if (!one.account || !one.domain || !one.issuer || !one.accounturi ||
        !one.value) {
        value_deinit(&one);
        return -ENOMEM;
    }
    k->items[k->n++] = one;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct kept_value *x = a;
    const struct kept_value *y = b;
    int r = strcmp(x->domain, y->domain);

    if (r == 0)
        r = strcmp(x->account, y->account);
    return r ? r : strcmp(x->issuer, y->issuer);
}

void records_kept_sort(struct records_kept *k)
{
    if (k->n > 1)
        qsort(k->items, k->n, sizeof(*k->items), compare);
}

size_t records_kept_end(const struct records_kept *k, size_t from)
{
    size_t to = from;

    while (to < k->n && strcmp(k->items[to].domain, k->items[from].domain) == 0)
        to++;
    return to;
}

size_t records_kept_find(const struct records_kept *k, const char *domain)
{
    size_t low = 0, high = k->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(k->items[middle].domain, domain) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < k->n && strcmp(k->items[low].domain, domain) == 0 ? low : k->n;
}
