/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/chain-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#define NUMBER_LEN 12
#define PREFIX CHAIN_LOG_FILE "."
#define READ_SIZE ((size_t)4 * CHAIN_LINE_MAX)
#define LINE_OPEN "{\"n\":"
#define MAC_CLOSE_LEN 2 /* "} */

void chain_files_deinit(struct chain_files *f)
{
    free(f->last);
    *f = (struct chain_files){ 0 };
}

static void dir_close_p(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* 0 if it is not the name of a closed file. */
static uint64_t number_in_name(const char *name)
{
    const char *digits = name + sizeof(PREFIX) - 1;

    if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0 ||
        strlen(digits) != NUMBER_LEN ||
        strspn(digits, "0123456789") != NUMBER_LEN)
        return 0;
    return strtoull(digits, NULL, 10);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

int chain_files_list(int dir_fd, struct chain_files *ret)
{
    CLEANUP_CHAIN_FILES struct chain_files f = { 0 };
    CLEANUP(dir_close_p) DIR *dir = NULL;
    CLEANUP_FD int fd = -1;

    fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir)
        return -errno;
    (void)TAKE_FD(fd); /* closed with the directory */

    for (;;) {
        const struct dirent *entry;
        uint64_t number;
        uint64_t *more;

        errno = 0;
        entry = readdir(dir);
        if (!entry && errno)
            return -errno;
        if (!entry)
            break;
        if (strcmp(entry->d_name, CHAIN_LOG_FILE) == 0)
            f.current = true;
        number = number_in_name(entry->d_name);
        if (number == 0)
            continue;
        more = reallocarray(f.last, f.n + 1, sizeof(*more));
        if (!more)
            return -ENOMEM;
        f.last = more;
        f.last[f.n++] = number;
    }
    if (f.n > 0)
        qsort(f.last, f.n, sizeof(*f.last), compare);
    *ret = (struct chain_files){ .last = TAKE_PTR(f.last),
                                 .n = f.n,
                                 .current = f.current };
    return 0;
}

void chain_file_name(uint64_t last, char ret[static CHAIN_FILE_MAX])
{
    if (last == 0)
        (void)snprintf(ret, CHAIN_FILE_MAX, CHAIN_LOG_FILE);
    else
        (void)snprintf(ret, CHAIN_FILE_MAX, PREFIX "%0*llu", NUMBER_LEN,
                       (unsigned long long)last);
}

int chain_reader_init(struct chain_reader *r, int fd, uint64_t offset)
{
    *r = (struct chain_reader){ .fd = fd, .offset = offset };
    r->buf = malloc(READ_SIZE);
    return r->buf ? 0 : -ENOMEM;
}

void chain_reader_deinit(struct chain_reader *r)
{
    free(r->buf);
    *r = (struct chain_reader){ .fd = -1 };
}

/* Moves what is left to the front and reads on. */
static int fill(struct chain_reader *r, bool *ret_end)
{
    ssize_t n;

    memmove(r->buf, r->buf + r->pos, r->len - r->pos);
    r->len -= r->pos;
    r->pos = 0;
    n = pread(r->fd, r->buf + r->len, READ_SIZE - r->len,
              (off_t)(r->offset + r->len));
    if (n < 0)
        return -errno;
    r->len += (size_t)n;
    *ret_end = n == 0;
    return 0;
}

int chain_reader_next(struct chain_reader *r, struct bytes *ret)
{
    for (;;) {
        const uint8_t *start = r->buf + r->pos;
        size_t left = r->len - r->pos;
        const uint8_t *newline = memchr(start, '\n', left);
        bool end = false;
        int e;

        *ret = (struct bytes){ start, left };
        if (newline) {
            ret->len = (size_t)(newline - start);
            r->pos += ret->len + 1;
            r->offset += ret->len + 1;
            return ret->len < CHAIN_LINE_MAX ? 0 : CHAIN_READ_LONG;
        }
        if (left >= CHAIN_LINE_MAX)
            return CHAIN_READ_LONG;
        e = fill(r, &end);
        if (e)
            return e;
        if (end)
            return left > 0 ? CHAIN_READ_TORN : CHAIN_READ_END;
    }
}

uint64_t chain_line_number(struct bytes line)
{
    const size_t open = sizeof(LINE_OPEN) - 1;
    uint64_t n = 0;
    size_t i;

    if (line.len < open || memcmp(line.data, LINE_OPEN, open) != 0)
        return 0;
    for (i = open; i < line.len && line.data[i] >= '0' && line.data[i] <= '9';
         i++) {
        if (n > UINT64_MAX / 100)
            return 0;
        n = n * 10 + (uint64_t)(line.data[i] - '0');
    }
    return i < line.len && line.data[i] == ',' ? n : 0;
}

int chain_line_mac(struct bytes line, uint8_t ret[static CHAIN_MAC_LEN])
{
    const size_t hex = 2 * (size_t)CHAIN_MAC_LEN;
    const char *start;
    size_t len;

    if (line.len < hex + MAC_CLOSE_LEN)
        return CHAIN_E_FORM;
    start = (const char *)line.data + line.len - MAC_CLOSE_LEN - hex;
    if (sodium_hex2bin(ret, CHAIN_MAC_LEN, start, hex, NULL, &len, NULL) != 0 ||
        len != CHAIN_MAC_LEN)
        return CHAIN_E_FORM;
    return 0;
}
