/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/identifiers.h"

#include <errno.h>
#include <string.h>

#include "acme/dns-name.h"

#define IDENTIFIERS_FIRST 4

static int identifiers_grow(struct identifiers *ids)
{
    size_t n = ids->n;
    struct identifier *items;

    /* Full at 0 and at each power of two from the first size on. */
    if (n > 0 && (n < IDENTIFIERS_FIRST || (n & (n - 1)) != 0))
        return 0;
    items =
        realloc(ids->items, (n ? 2 * n : IDENTIFIERS_FIRST) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    ids->items = items;
    return 0;
}

int identifiers_add(struct identifiers *ids, enum identifier_type type,
                    struct bytes value, struct refusal *ret_refusal)
{
    struct identifier id = { .type = type };
    int r;

    if (ids->n >= IDENTIFIERS_MAX)
        return refuse(ret_refusal, REASON_TOO_MANY_IDENTIFIERS, "more than %d",
                      IDENTIFIERS_MAX);
    if (type == IDENTIFIER_IP)
        r = ip_text_check(value, id.addr, &id.addr_len, ret_refusal);
    else
        r = dns_name_check(value, true, ret_refusal);
    if (r)
        return r;

    r = identifiers_grow(ids);
    if (r)
        return r;
    id.value = strndup((const char *)value.data, value.len);
    if (!id.value)
        return -ENOMEM;
    ids->items[ids->n++] = id;
    return 0;
}

bool identifiers_has(const struct identifiers *ids, enum identifier_type type,
                     struct bytes value)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->items[i].type == type &&
            bytes_eq_str(value, ids->items[i].value))
            return true;
    }
    return false;
}

void identifiers_deinit(struct identifiers *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        free(ids->items[i].value);
    free(ids->items);
    *ids = (struct identifiers){ 0 };
}
