/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/*
 * Names to 32-bit values: a hash table whose cost does not grow with the number
 * of names. Keyed (SipHash-2-4), so that nobody who gets names into a policy
 * can make them collide. All zero is the empty index.
 */

#define NAME_INDEX_NAME_MAX 255 /* octets of a name */

struct name_index {
    uint8_t key[16];
    uint32_t *slots; /* tag and position of a record, or 0: free */
    size_t mask;     /* slots - 1; a power of two */
    size_t n;
    struct buf records;
};

void name_index_deinit(struct name_index *ix);

/* name_index_reserve() - room for @n names in all, so that adding them does not
 * move the others again and again. */
int name_index_reserve(struct name_index *ix, size_t n) MUST_CHECK;

/**
 * name_index_merge() - set the bits @value of a name, which is added if new
 *
 * Return: 0; -E2BIG for a name that is empty or too long, or above 2^32 octets
 * of names; -ENOMEM.
 */
int name_index_merge(struct name_index *ix, struct bytes name,
                     uint32_t value) MUST_CHECK;

/* name_index_replace() - the value as a whole, which must not be 0. *ret_old
 * is 0 when the name is new. Return: as above. */
int name_index_replace(struct name_index *ix, struct bytes name, uint32_t value,
                       uint32_t *ret_old) MUST_CHECK;

/* name_index_get() - the value; 0 when there is no such name. */
uint32_t name_index_get(const struct name_index *ix, struct bytes name);

/* name_index_each() - in the order added. Stops at the first nonzero. */
typedef int (*name_index_fn)(struct bytes name, uint32_t value, void *userdata);
int name_index_each(const struct name_index *ix, name_index_fn fn,
                    void *userdata) MUST_CHECK;
