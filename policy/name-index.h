/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/*
 * Sets of names, and maps from names to numbers: hash tables whose cost does
 * not grow with the number of names.
 *
 * A name is recognised by what SipHash-2-4 makes of it under a key that never
 * leaves this process: whoever asks for a name that is not there would have to
 * forge a MAC to be told otherwise (2^-63 for each try that we answer), and
 * whoever gets names into a policy cannot make them collide.
 *
 * All zero is the empty index.
 */

#define NAME_INDEX_NAME_MAX 255 /* octets of a name */

struct name_index {
    uint8_t key[16];
    uint64_t *tags;   /* buckets of eight; 0: free */
    uint32_t *values; /* beside them, of a map; NULL: a set */
    size_t n_buckets;
    size_t n;
    struct buf names; /* each behind its length, for name_index_each() */
};

/* Where a name would be, and how it would be recognised there. */
struct name_hash {
    uint64_t home;
    uint64_t tag;
};

void name_index_deinit(struct name_index *ix);

/**
 * name_index_add() - to a set; nothing happens when it is there already
 *
 * Return: 0; -E2BIG for a name that is empty or too long; -ENOMEM.
 */
int name_index_add(struct name_index *ix, struct bytes name) MUST_CHECK;

/* name_index_put() - into a map; *ret_old gets the value before, 0 when new.
 * Return: as above. */
int name_index_put(struct name_index *ix, struct bytes name, uint32_t value,
                   uint32_t *ret_old) MUST_CHECK;

/* name_index_fit() - when all names are there: no larger than needed, since
 * the caches of the processor are what a lookup waits for. */
int name_index_fit(struct name_index *ix) MUST_CHECK;

bool name_index_has(const struct name_index *ix, struct bytes name);

/* name_index_get() - of a map; 0 when there is no such name. */
uint32_t name_index_get(const struct name_index *ix, struct bytes name);

/*
 * name_index_hash() and name_index_has_hashed() - the same in two steps. The
 * first one lets the memory come nearer, so that several names wait for it
 * once: hash them all, then ask for them all.
 */
struct name_hash name_index_hash(const struct name_index *ix,
                                 struct bytes name);
bool name_index_has_hashed(const struct name_index *ix,
                           const struct name_hash *h);

/* name_index_each() - in the order added. Stops at the first nonzero. */
typedef int (*name_index_fn)(struct bytes name, void *userdata);
int name_index_each(const struct name_index *ix, name_index_fn fn,
                    void *userdata) MUST_CHECK;
