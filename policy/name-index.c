/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Buckets of eight tags, one cache line each; what does not fit goes into the
 * next. All eight are compared at once, so that a lookup costs one line and no
 * guessing of branches, whatever the number of names. The names themselves lie
 * apart: only lint and growing read them.
 */
#include "policy/name-index.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define BUCKET 8

_Static_assert(sizeof(((struct name_index *)0)->key) ==
                       crypto_shorthash_siphashx24_KEYBYTES &&
                   sizeof(struct name_hash) ==
                       crypto_shorthash_siphashx24_BYTES,
               "SipHash-2-4 with 128 bits");

static struct name_hash hash(const struct name_index *ix, struct bytes name)
{
    struct name_hash h;

    (void)crypto_shorthash_siphashx24((uint8_t *)&h, name.data, name.len,
                                      ix->key);
    h.tag |= 1; /* 0 is a free place */
    return h;
}

/* Any number of buckets, not only powers of two (Lemire's reduction). */
static size_t first_bucket(const struct name_index *ix,
                           const struct name_hash *h)
{
    return (size_t)(((unsigned __int128)h->home * ix->n_buckets) >> 64);
}

static unsigned count_in(const uint64_t *bucket, uint64_t tag)
{
    unsigned n = 0;

    for (size_t i = 0; i < BUCKET; i++)
        n += bucket[i] == tag;
    return n;
}

static size_t place_in(const uint64_t *bucket, uint64_t tag)
{
    size_t i = 0;

    while (bucket[i] != tag)
        i++;
    return i;
}

/* There is always a bucket with a free place. Return: is the name there? */
static bool find_bucket(const struct name_index *ix, const struct name_hash *h,
                        size_t *ret)
{
    for (size_t b = first_bucket(ix, h);; b++) {
        const uint64_t *bucket;

        if (b == ix->n_buckets)
            b = 0;
        bucket = ix->tags + b * BUCKET;

        *ret = b * BUCKET;
        if (count_in(bucket, h->tag))
            return true;
        if (count_in(bucket, 0))
            return false;
    }
}

/* The next name of the list, from *at on. */
static struct bytes next_name(const struct name_index *ix, size_t *at)
{
    const uint8_t *p = ix->names.data + *at;

    *at += 1 + (size_t)*p;
    return (struct bytes){ p + 1, *p };
}

static uint64_t *new_tags(size_t n)
{
    uint64_t *tags = aligned_alloc(BUCKET * sizeof(*tags), n * sizeof(*tags));

    if (tags)
        memset(tags, 0, n * sizeof(*tags));
    return tags;
}

static uint32_t value_of(const struct name_index *ix, const struct name_hash *h)
{
    size_t at;

    if (!ix->values || !find_bucket(ix, h, &at))
        return 0;
    return ix->values[at + place_in(ix->tags + at, h->tag)];
}

/* Return: the place of the name, which is there now. */
static size_t place(struct name_index *ix, const struct name_hash *h)
{
    size_t at;
    bool there = find_bucket(ix, h, &at);

    at += place_in(ix->tags + at, there ? h->tag : 0);
    ix->tags[at] = h->tag;
    return at;
}

/* Moves all names to a table of @n_buckets. */
static int resize(struct name_index *ix, size_t n_buckets, bool with_values)
{
    CLEANUP_FREE uint64_t *tags = new_tags(n_buckets * BUCKET);
    CLEANUP_FREE uint32_t *values = NULL;
    struct name_index old = *ix;

    if (with_values)
        values = calloc(n_buckets * BUCKET, sizeof(*values));
    if (!tags || (with_values && !values))
        return -ENOMEM;
    if (!ix->tags)
        randombytes_buf(ix->key, sizeof(ix->key));
    ix->tags = TAKE_PTR(tags);
    ix->values = TAKE_PTR(values);
    ix->n_buckets = n_buckets;
    for (size_t at = 0; at < ix->names.len;) {
        struct name_hash h = hash(ix, next_name(ix, &at));
        size_t to = place(ix, &h);

        if (with_values)
            ix->values[to] = value_of(&old, &h);
    }
    free(old.tags);
    free(old.values);
    return 0;
}

/* Four fifths full: some place is free always, and most names lie in the
 * bucket where they are looked for first. */
static size_t buckets_for(size_t n)
{
    return (n + n / 4) / BUCKET + 1;
}

static int grow(struct name_index *ix, bool with_values)
{
    size_t need = buckets_for(ix->n + 1);

    if (need <= ix->n_buckets)
        return 0;
    return resize(ix, ix->n ? need * 2 : 1, with_values);
}

int name_index_fit(struct name_index *ix)
{
    size_t need = buckets_for(ix->n);

    return need < ix->n_buckets ? resize(ix, need, ix->values) : 0;
}

static int append_name(struct name_index *ix, struct bytes name)
{
    int r = buf_reserve(&ix->names, 1 + name.len);

    if (r == 0)
        r = buf_append_char(&ix->names, (char)name.len);
    return r ? r : buf_append(&ix->names, name.data, name.len);
}

static int add(struct name_index *ix, struct bytes name, bool with_value,
               size_t *ret_place)
{
    struct name_hash h;
    int r;

    if (name.len == 0 || name.len > NAME_INDEX_NAME_MAX)
        return -E2BIG;
    r = grow(ix, with_value);
    if (r)
        return r;
    h = hash(ix, name);
    if (!name_index_has_hashed(ix, &h)) {
        r = append_name(ix, name);
        if (r)
            return r;
        ix->n++;
    }
    *ret_place = place(ix, &h);
    return 0;
}

int name_index_add(struct name_index *ix, struct bytes name)
{
    size_t at;

    return add(ix, name, false, &at);
}

int name_index_put(struct name_index *ix, struct bytes name, uint32_t value,
                   uint32_t *ret_old)
{
    size_t at = 0;
    int r = add(ix, name, true, &at);

    if (r)
        return r;
    *ret_old = ix->values[at];
    ix->values[at] = value;
    return 0;
}

struct name_hash name_index_hash(const struct name_index *ix, struct bytes name)
{
    struct name_hash h = { 0 };

    if (ix->n > 0) {
        h = hash(ix, name);
        __builtin_prefetch(ix->tags + first_bucket(ix, &h) * BUCKET);
    }
    return h;
}

bool name_index_has_hashed(const struct name_index *ix,
                           const struct name_hash *h)
{
    size_t at;

    return ix->n > 0 && find_bucket(ix, h, &at);
}

bool name_index_has(const struct name_index *ix, struct bytes name)
{
    struct name_hash h = name_index_hash(ix, name);

    return name_index_has_hashed(ix, &h);
}

uint32_t name_index_get(const struct name_index *ix, struct bytes name)
{
    struct name_hash h = name_index_hash(ix, name);

    return ix->n > 0 ? value_of(ix, &h) : 0;
}

int name_index_each(const struct name_index *ix, name_index_fn fn,
                    void *userdata)
{
    int r = 0;

    for (size_t at = 0; r == 0 && at < ix->names.len;)
        r = fn(next_name(ix, &at), userdata);
    return r;
}

void name_index_deinit(struct name_index *ix)
{
    free(ix->tags);
    free(ix->values);
    buf_deinit(&ix->names);
    *ix = (struct name_index){ 0 };
}
