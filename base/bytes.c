/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUF_MIN 256
#define READ_CHUNK ((size_t)16 * 1024)

struct bytes bytes_from_str(const char *s)
{
    return (struct bytes){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool bytes_eq_str(struct bytes a, const char *s)
{
    return bytes_eq(a, bytes_from_str(s));
}

bool bytes_next_line(struct bytes *rest, struct bytes *ret)
{
    const uint8_t *lf;
    size_t skip;

    if (rest->len == 0)
        return false;
    lf = memchr(rest->data, '\n', rest->len);
    *ret = (struct bytes){ rest->data,
                           lf ? (size_t)(lf - rest->data) : rest->len };
    skip = ret->len + (lf ? 1 : 0);
    *rest = (struct bytes){ rest->data + skip, rest->len - skip };
    return true;
}

void buf_deinit(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = 0;
}

int buf_reserve(struct buf *b, size_t more)
{
    size_t need;
    size_t cap = b->cap ? b->cap : BUF_MIN;
    uint8_t *data;

    if (__builtin_add_overflow(b->len, more, &need) ||
        __builtin_add_overflow(need, 1, &need) || need > SIZE_MAX / 2)
        return -ENOMEM;
    if (need <= b->cap)
        return 0;
    while (cap < need)
        cap *= 2;

    data = realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int r;

    r = buf_reserve(b, len);
    if (r)
        return r;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
    return 0;
}

int buf_read(struct buf *b, int fd, size_t max)
{
    while (b->len <= max) {
        size_t room = max + 1 - b->len;
        ssize_t n;
        int r;

        r = buf_reserve(b, room < READ_CHUNK ? room : READ_CHUNK);
        if (r)
            return r;
        n = read(fd, b->data + b->len, room < READ_CHUNK ? room : READ_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        b->len += (size_t)n;
        b->data[b->len] = 0;
    }
    return -E2BIG;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    int n;
    int r;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return -EINVAL;

    r = buf_reserve(b, (size_t)n);
    if (r)
        return r;
    va_start(args, fmt);
    (void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
    return 0;
}

/*
 * Length of the UTF-8 sequence at @s, at most @left bytes; 0 if there is none
 * (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
static size_t utf8_len(const uint8_t *s, size_t left)
{
    size_t n;
    uint32_t c;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (left < n)
        return 0;

    c = s[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = (c << 6) | (s[i] & 0x3fU);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
        (n == 4 && (c < 0x10000 || c > 0x10ffff)))
        return 0;
    return n;
}

bool bytes_is_utf8(struct bytes b)
{
    size_t n;

    for (size_t i = 0; i < b.len; i += n) {
        n = utf8_len(b.data + i, b.len - i);
        if (n == 0)
            return false;
    }
    return true;
}

static int append_json_char(struct buf *b, const uint8_t *s, size_t left,
                            size_t *ret_used)
{
    size_t n = utf8_len(s, left);

    *ret_used = n ? n : 1;
    if (n == 0)
        return buf_append_str(b, "\xef\xbf\xbd");
    if (s[0] == '"' || s[0] == '\\') {
        char esc[2] = { '\\', (char)s[0] };

        return buf_append(b, esc, 2);
    }
    if (s[0] < 0x20 || s[0] == 0x7f)
        return buf_printf(b, "\\u%04x", s[0]);
    return buf_append(b, s, n);
}

int buf_append_json(struct buf *b, struct bytes s)
{
    size_t plain = 0;
    int r;

    r = buf_append_char(b, '"');
    for (size_t i = 0; r == 0 && i < s.len;) {
        size_t used;

        /* Runs of harmless ASCII, nearly everything, are copied whole. */
        for (plain = i; plain < s.len && s.data[plain] >= 0x20 &&
                        s.data[plain] < 0x7f && s.data[plain] != '"' &&
                        s.data[plain] != '\\';)
            plain++;
        if (plain > i) {
            r = buf_append(b, s.data + i, plain - i);
            i = plain;
            continue;
        }
        r = append_json_char(b, s.data + i, s.len - i, &used);
        i += used;
    }
    return r ? r : buf_append_char(b, '"');
}

char *buf_take_str(struct buf *b)
{
    char *s = (char *)b->data;

    *b = (struct buf){ 0 };
    return s;
}
