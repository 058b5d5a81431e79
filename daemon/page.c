/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/page.h"

#include <errno.h>

void page_deinit(struct page *p)
{
    buf_deinit(&p->b);
    *p = (struct page){ 0 };
}

int page_begin(struct page *p, const char *name, int64_t limit)
{
    int r;

    p->limit = limit > 0 ? (size_t)limit : SIZE_MAX;
    r = buf_reserve(&p->b, PAGE_OCTETS);
    return r ? r : buf_printf(&p->b, "{\"%s\":[", name);
}

int page_item(struct page *p)
{
    if (p->n == p->limit) {
        p->more = true;
        return PAGE_E_FULL;
    }
    p->item_at = p->b.len;
    return p->n > 0 ? buf_append_char(&p->b, ',') : 0;
}

/* The first item is always taken: a page without any would never end. */
int page_item_end(struct page *p)
{
    if (p->b.len > PAGE_OCTETS && p->n > 0) {
        p->b.len = p->item_at;
        p->more = true;
        return PAGE_E_FULL;
    }
    p->n++;
    return 0;
}

int page_item_json(struct page *p, json_t *item)
{
    CLEANUP_FREE char *text = item ? json_dumps(item, JSON_COMPACT) : NULL;
    int r = page_item(p);

    json_decref(item);
    if (r == 0)
        r = text ? buf_append_str(&p->b, text) : -ENOMEM;
    return r ? r : page_item_end(p);
}

int page_end(struct page *p, const char *last)
{
    int r = buf_append_char(&p->b, ']');

    if (r == 0 && p->more) {
        r = buf_append_str(&p->b, ",\"next\":");
        if (r == 0)
            r = buf_append_json(&p->b, bytes_from_str(last));
    }
    return r ? r : buf_append_char(&p->b, '}');
}
