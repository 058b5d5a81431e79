/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

struct varlink_call;

/*
 * Answers of many items, written by hand and cut so that each fits a message:
 * {"NAME":[ITEM,...],"next":KEY}. The next page begins behind KEY, which the
 * caller gets back as `after`.
 */

#define PAGE_OCTETS (60 * 1024) /* of items; the rest is for what is around */

struct page {
    struct buf b;
    size_t n, limit;
    size_t item_at; /* where the item being written began */
    bool more;      /* there was one that did not fit */
};

void page_deinit(struct page *p);
#define CLEANUP_PAGE CLEANUP(page_deinit)

/* page_begin() - @limit: of items; 0: as many as fit. */
int page_begin(struct page *p, const char *name, int64_t limit) MUST_CHECK;

/*
 * page_item() - another item follows, appended to p->b by the caller, and then
 * page_item_end(). Both return PAGE_E_FULL when it does not belong on this page
 * any more; whatever was written of it is gone then.
 */
int page_item(struct page *p) MUST_CHECK;
int page_item_end(struct page *p) MUST_CHECK;
#define PAGE_E_FULL 1

/* page_item_json() - both, for an item whose speed does not matter; takes the
 * reference over, NULL is out of memory. */
int page_item_json(struct page *p, json_t *item) MUST_CHECK;

/* page_end() - @last: key of the last item that is on the page. */
int page_end(struct page *p, const char *last) MUST_CHECK;
