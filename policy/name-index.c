/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Open addressing over 8-octet slots (a tag of the hash, the position of the
 * record), at most half full; the records lie one after the other in one
 * buffer. A lookup touches one cache line to miss and two to hit, whatever the
 * number of names.
 */
#include "policy/name-index.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

/* A record: value, length, octets of the name. */
#define RECORD_HEAD 5

_Static_assert(sizeof(((struct name_index *)0)->key) ==
                   crypto_shorthash_KEYBYTES,
               "a SipHash key");

static uint64_t hash(const struct name_index *ix, struct bytes name)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t h;

    (void)crypto_shorthash(out, name.data, name.len, ix->key);
    memcpy(&h, out, sizeof(h));
    return h;
}

/* Never 0, which marks a free slot. */
static uint32_t tag_of(uint64_t h)
{
    return (uint32_t)(h >> 32) | 1;
}

static struct bytes record_name(const uint8_t *record)
{
    return (struct bytes){ record + RECORD_HEAD, record[4] };
}

/* The slot of @name, or the free one where it would go. */
static uint32_t *find(const struct name_index *ix, struct bytes name,
                      uint64_t h)
{
    uint32_t tag = tag_of(h);

    for (size_t i = h & ix->mask;; i = (i + 1) & ix->mask) {
        uint32_t *slot = ix->slots + 2 * i;

        if (slot[0] == 0 ||
            (slot[0] == tag &&
             bytes_eq(record_name(ix->records.data + slot[1]), name)))
            return slot;
    }
}

int name_index_reserve(struct name_index *ix, size_t n)
{
    CLEANUP_FREE uint32_t *old = NULL;
    size_t slots = 8;

    while (slots / 2 < n)
        slots *= 2;
    if (ix->slots && slots <= ix->mask + 1)
        return 0;
    if (!ix->slots)
        randombytes_buf(ix->key, sizeof(ix->key));
    old = ix->slots;
    ix->slots = calloc(slots, 2 * sizeof(*ix->slots));
    if (!ix->slots) {
        ix->slots = TAKE_PTR(old);
        return -ENOMEM;
    }
    ix->mask = slots - 1;
    for (size_t at = 0; at < ix->records.len;) {
        struct bytes name = record_name(ix->records.data + at);
        uint64_t h = hash(ix, name);
        uint32_t *slot = find(ix, name, h);

        slot[0] = tag_of(h);
        slot[1] = (uint32_t)at;
        at += RECORD_HEAD + name.len;
    }
    return 0;
}

static int add_record(struct name_index *ix, struct bytes name)
{
    uint8_t head[RECORD_HEAD] = { 0 };
    int r;

    if (name.len == 0 || name.len > NAME_INDEX_NAME_MAX ||
        ix->records.len > UINT32_MAX - RECORD_HEAD - NAME_INDEX_NAME_MAX)
        return -E2BIG;
    r = buf_reserve(&ix->records, RECORD_HEAD + name.len);
    if (r)
        return r;
    head[4] = (uint8_t)name.len;
    r = buf_append(&ix->records, head, sizeof(head));
    return r ? r : buf_append(&ix->records, name.data, name.len);
}

/* The name's record, made with value 0 when it is new. */
static int get_record(struct name_index *ix, struct bytes name, uint8_t **ret)
{
    size_t at = ix->records.len;
    uint32_t *slot;
    uint64_t h;
    int r;

    r = name_index_reserve(ix, ix->n + 1);
    if (r)
        return r;
    h = hash(ix, name);
    slot = find(ix, name, h);
    if (slot[0] == 0) {
        r = add_record(ix, name);
        if (r)
            return r;
        slot[0] = tag_of(h);
        slot[1] = (uint32_t)at;
        ix->n++;
    }
    *ret = ix->records.data + slot[1];
    return 0;
}

int name_index_merge(struct name_index *ix, struct bytes name, uint32_t value)
{
    uint8_t *record = NULL;
    uint32_t v;
    int r;

    r = get_record(ix, name, &record);
    if (r)
        return r;
    memcpy(&v, record, sizeof(v));
    v |= value;
    memcpy(record, &v, sizeof(v));
    return 0;
}

int name_index_replace(struct name_index *ix, struct bytes name, uint32_t value,
                       uint32_t *ret_old)
{
    uint8_t *record = NULL;
    int r;

    assert(value != 0);
    r = get_record(ix, name, &record);
    if (r)
        return r;
    memcpy(ret_old, record, sizeof(*ret_old));
    memcpy(record, &value, sizeof(value));
    return 0;
}

uint32_t name_index_get(const struct name_index *ix, struct bytes name)
{
    uint32_t *slot;
    uint32_t v;

    if (ix->n == 0)
        return 0;
    slot = find(ix, name, hash(ix, name));
    if (slot[0] == 0)
        return 0;
    memcpy(&v, ix->records.data + slot[1], sizeof(v));
    return v;
}

int name_index_each(const struct name_index *ix, name_index_fn fn,
                    void *userdata)
{
    for (size_t at = 0; at < ix->records.len;) {
        const uint8_t *record = ix->records.data + at;
        struct bytes name = record_name(record);
        uint32_t v;
        int r;

        memcpy(&v, record, sizeof(v));
        r = fn(name, v, userdata);
        if (r)
            return r;
        at += RECORD_HEAD + name.len;
    }
    return 0;
}

void name_index_deinit(struct name_index *ix)
{
    free(ix->slots);
    buf_deinit(&ix->records);
    *ix = (struct name_index){ 0 };
}
