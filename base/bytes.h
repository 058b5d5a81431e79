/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/** struct bytes - borrowed memory, passed by value. May be { NULL, 0 }. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

/**
 * struct buf - owned memory that grows
 *
 * All zero is the empty buffer. After every successful append a NUL follows
 * data[len], so that text can be read as a C string. Not for secrets.
 */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

#define CLEANUP_BUF CLEANUP(buf_deinit)

/* bytes_unconst() - for interfaces without const that do not write. */
static inline void *bytes_unconst(struct bytes b)
{
    union {
        const uint8_t *borrowed;
        void *plain;
    } u = { b.data };

    return u.plain;
}

struct bytes bytes_from_str(const char *s);
bool bytes_eq(struct bytes a, struct bytes b);
bool bytes_eq_str(struct bytes a, const char *s);
bool bytes_is_utf8(struct bytes b); /* RFC 3629 */

/* bytes_next_line() - takes a line off *rest; *ret is without its LF, which the
 * last one need not have. Return: false where nothing is left. */
bool bytes_next_line(struct bytes *rest, struct bytes *ret);

/* buf_deinit() - free; the buffer is empty (and usable) again. */
void buf_deinit(struct buf *b);

/* buf_clear() - length 0, memory kept for reuse. */
void buf_clear(struct buf *b);

/* buf_reserve() - room for @more bytes and the NUL. Return: 0, -ENOMEM. */
int buf_reserve(struct buf *b, size_t more) MUST_CHECK;

int buf_append(struct buf *b, const void *data, size_t len) MUST_CHECK;
int buf_append_str(struct buf *b, const char *s) MUST_CHECK;
int buf_append_char(struct buf *b, char c) MUST_CHECK;
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;

/**
 * buf_read() - append what @fd gives up to its end
 * @max: for @b in all
 *
 * Return: 0; -E2BIG: there was more; another negative errno.
 */
int buf_read(struct buf *b, int fd, size_t max) MUST_CHECK;

/*
 * buf_append_json() - @s as a JSON string literal with its quotes (RFC 8259
 * section 7): control characters, quote and backslash are escaped, so that no
 * value can end its string or its line. Bytes that are not UTF-8 become U+FFFD.
 */
int buf_append_json(struct buf *b, struct bytes s) MUST_CHECK;

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){ b->data, b->len };
}

/* buf_str() - the content as a C string; "" when nothing was ever appended. */
static inline const char *buf_str(const struct buf *b)
{
    return b->data ? (const char *)b->data : "";
}

/* buf_take_str() - gives the string away; NULL when nothing was appended. */
char *buf_take_str(struct buf *b);
