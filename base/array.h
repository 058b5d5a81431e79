/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdlib.h>

/**
 * array_grown() - room for one more in an array that only grows by this
 * @n: items in it; it doubles at powers of two
 *
 * Return: the array, perhaps moved; NULL: out of memory, and it is as it was.
 */
static inline void *array_grown(void *array, size_t n, size_t item)
{
    if (n & (n - 1))
        return array;
    return reallocarray(array, n ? n * 2 : 1, item);
}
