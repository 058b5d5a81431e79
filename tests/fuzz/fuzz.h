/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

/*
 * What the fuzz targets share. A target is one function that takes any octets:
 * with -Dtests=fuzz libFuzzer calls it, in every other build replay.c does,
 * with the seeds and with what was once found.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* MUST() - a property of the reader that no input may break. */
#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,   \
                          #condition);                                         \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* fuzz_octet() - the first, taken off; 0 where there is none. */
static inline uint8_t fuzz_octet(struct bytes *rest)
{
    uint8_t octet = 0;

    if (rest->len > 0) {
        octet = rest->data[0];
        *rest = (struct bytes){ rest->data + 1, rest->len - 1 };
    }
    return octet;
}

/* fuzz_line() - what stands before the first newline, taken off with it. */
static inline struct bytes fuzz_line(struct bytes *rest)
{
    struct bytes line = { rest->data, 0 };

    while (line.len < rest->len && rest->data[line.len] != '\n')
        line.len++;
    *rest = line.len < rest->len ? (struct bytes){ rest->data + line.len + 1,
                                                   rest->len - line.len - 1 }
                                 : (struct bytes){ rest->data + line.len, 0 };
    return line;
}

/* fuzz_copy() - exactly so many octets on the heap, so that a reader that goes
 * on behind them is seen. To be freed. */
static inline uint8_t *fuzz_copy(struct bytes b)
{
    uint8_t *copy = malloc(b.len ? b.len : 1);

    MUST(copy);
    for (size_t i = 0; i < b.len; i++)
        copy[i] = b.data[i];
    return copy;
}
