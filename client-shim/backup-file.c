/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/backup-file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/array.h"
#include "base/settings.h"

#define BLOCK 512
#define SUFFIX ".key"
#define HEADER "store.header"

/* POSIX.1-1988; every field is text. */
struct ustar {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

void backup_deinit(struct backup *b)
{
    free(b->items);
    *b = (struct backup){ 0 };
}

/* ---- names ---- */

/* What a sealed store has, and nothing that is a path. */
static bool is_store_file(const char *file)
{
    size_t n = strlen(file);

    if (strcmp(file, HEADER) == 0)
        return true;
    return n > strlen(SUFFIX) && file[0] != '.' && !strchr(file, '/') &&
           strcmp(file + n - strlen(SUFFIX), SUFFIX) == 0;
}

bool backup_sealed_name(const char *name, char ret_token[static 64],
                        const char **ret_file)
{
    const char *token = name + strlen(BACKUP_SEALED);
    const char *slash;

    if (strncmp(name, BACKUP_SEALED, strlen(BACKUP_SEALED)) != 0)
        return false;
    slash = strchr(token, '/');
    if (!slash || slash - token >= 64)
        return false;
    (void)snprintf(ret_token, 64, "%.*s", (int)(slash - token), token);
    *ret_file = slash + 1;
    return settings_name_ok(ret_token) && is_store_file(slash + 1);
}

static bool is_name(const char *name)
{
    const char *file;
    char token[64];

    return strcmp(name, BACKUP_ABOUT) == 0 ||
           strcmp(name, BACKUP_REGISTRY) == 0 ||
           strcmp(name, BACKUP_SUMS) == 0 ||
           backup_sealed_name(name, token, &file);
}

/* ---- writing ---- */

static unsigned checksum(const struct ustar *h)
{
    const uint8_t *octets = (const uint8_t *)h;
    size_t at = offsetof(struct ustar, checksum);
    unsigned sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= at && i < at + sizeof(h->checksum) ? ' ' : octets[i];
    return sum;
}

/* Long names are cut at the last slash, as ustar has it. */
static int put_name(struct ustar *h, const char *name)
{
    const char *slash = strrchr(name, '/');
    size_t n = strlen(name);

    if (n <= sizeof(h->name)) {
        memcpy(h->name, name, n);
        return 0;
    }
    if (!slash || (size_t)(slash - name) > sizeof(h->prefix) ||
        strlen(slash + 1) > sizeof(h->name))
        return BACKUP_E_NAME;
    memcpy(h->prefix, name, (size_t)(slash - name));
    memcpy(h->name, slash + 1, strlen(slash + 1));
    return 0;
}

/* Digits to the last octet but one. */
static void put_octal(char *field, size_t len, uint64_t value)
{
    for (size_t i = len - 1; i-- > 0; value /= 8)
        field[i] = (char)('0' + value % 8);
}

static int add(struct buf *archive, const char *name, struct bytes data,
               int64_t now_s)
{
    static const uint8_t zeros[BLOCK];
    struct ustar h = { .type = '0' };
    size_t pad = (BLOCK - data.len % BLOCK) % BLOCK;
    int r = put_name(&h, name);

    if (r)
        return r;
    put_octal(h.mode, sizeof(h.mode), 0600);
    put_octal(h.uid, sizeof(h.uid), 0);
    put_octal(h.gid, sizeof(h.gid), 0);
    put_octal(h.size, sizeof(h.size), data.len);
    put_octal(h.mtime, sizeof(h.mtime), (uint64_t)now_s);
    memcpy(h.magic, "ustar", 6);
    memcpy(h.version, "00", 2);
    put_octal(h.checksum, sizeof(h.checksum) - 1, checksum(&h));
    h.checksum[7] = ' ';
    r = buf_append(archive, &h, sizeof(h));
    if (r == 0)
        r = buf_append(archive, data.data, data.len);
    return r ? r : buf_append(archive, zeros, pad);
}

static int add_sum(struct buf *sums, const char *name, struct bytes data)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof(hash) + 1];

    (void)crypto_hash_sha256(hash, data.data, data.len);
    (void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    return buf_printf(sums, "%s  %s\n", hex, name);
}

int backup_add(struct buf *archive, struct buf *sums, const char *name,
               struct bytes data, int64_t now_s)
{
    int r = is_name(name) ? add(archive, name, data, now_s) : BACKUP_E_NAME;

    return r ? r : add_sum(sums, name, data);
}

int backup_end(struct buf *archive, const struct buf *sums, int64_t now_s)
{
    static const uint8_t zeros[2 * BLOCK];
    int r = add(archive, BACKUP_SUMS, buf_bytes(sums), now_s);

    return r ? r : buf_append(archive, zeros, sizeof(zeros));
}

/* ---- reading ---- */

static int invalid(struct errmsg *reterr, const char *what)
{
    errmsg_set(reterr, "is no whole backup of acme-guardian: %s", what);
    return BACKUP_E_INVALID;
}

/* Digits to the field's end, its last octet NUL or a blank. */
static bool read_octal(const char *field, size_t len, uint64_t *ret)
{
    uint64_t value = 0;

    for (size_t i = 0; i + 1 < len; i++) {
        if (field[i] < '0' || field[i] > '7')
            return false;
        value = value * 8 + (uint64_t)(field[i] - '0');
    }
    *ret = value;
    return field[len - 1] == '\0' || field[len - 1] == ' ';
}

static bool is_zero(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] != 0)
            return false;
    }
    return true;
}

static bool read_header(const struct ustar *h, char ret_name[BACKUP_NAME_MAX],
                        uint64_t *ret_size)
{
    uint64_t sum = 0;

    if (memcmp(h->magic, "ustar", 6) != 0 || h->type != '0' ||
        !read_octal(h->size, sizeof(h->size), ret_size) ||
        !read_octal(h->checksum, sizeof(h->checksum) - 1, &sum) ||
        sum != checksum(h) || h->checksum[7] != ' ')
        return false;
    (void)snprintf(ret_name, BACKUP_NAME_MAX, "%.*s%s%.*s",
                   (int)sizeof(h->prefix), h->prefix, h->prefix[0] ? "/" : "",
                   (int)sizeof(h->name), h->name);
    return true;
}

static int take(struct backup *b, const char *name, struct bytes data,
                struct errmsg *reterr)
{
    struct backup_entry *more;

    if (!is_name(name))
        return invalid(reterr, "it has a file that no backup has");
    if (backup_find(b, name))
        return invalid(reterr, "it has a file twice");
    if (b->n == BACKUP_ENTRIES_MAX)
        return invalid(reterr, "it has too many files");
    more = array_grown(b->items, b->n, sizeof(*more));
    if (!more)
        return -ENOMEM;
    b->items = more;
    b->items[b->n] = (struct backup_entry){ .data = data };
    (void)snprintf(b->items[b->n++].name, BACKUP_NAME_MAX, "%s", name);
    return 0;
}

/* Return: 0, and *rest is what follows; *ret_end: that was the last. */
static int read_entry(struct backup *b, struct bytes *rest, bool *ret_end,
                      struct errmsg *reterr)
{
    struct ustar h;
    char name[BACKUP_NAME_MAX];
    uint64_t size, padded;
    int r;

    if (rest->len < sizeof(h))
        return invalid(reterr, "its end is missing");
    memcpy(&h, rest->data, sizeof(h));
    if (h.name[0] == '\0') {
        *ret_end = true;
        return rest->len >= 2 * BLOCK && is_zero(*rest)
                   ? 0
                   : invalid(reterr, "its end is not one");
    }
    if (!read_header(&h, name, &size))
        return invalid(reterr, "a header is damaged");
    padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    if (padded > rest->len - BLOCK)
        return invalid(reterr, "its end is missing");
    if (!is_zero((struct bytes){ rest->data + BLOCK + size, padded - size }))
        return invalid(reterr, "there is something between its files");
    r = take(b, name, (struct bytes){ rest->data + BLOCK, size }, reterr);
    *rest = (struct bytes){ rest->data + BLOCK + padded,
                            rest->len - BLOCK - padded };
    return r;
}

/* The sums are those that would be written. */
static int check_sums(const struct backup *b, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf sums = { 0 };
    int r = 0;

    if (b->n < 3 || strcmp(b->items[b->n - 1].name, BACKUP_SUMS) != 0 ||
        !backup_find(b, BACKUP_ABOUT) || !backup_find(b, BACKUP_REGISTRY))
        return invalid(reterr, "a file is missing");
    for (size_t i = 0; r == 0 && i + 1 < b->n; i++)
        r = add_sum(&sums, b->items[i].name, b->items[i].data);
    if (r)
        return r;
    return bytes_eq(buf_bytes(&sums), b->items[b->n - 1].data)
               ? 0
               : invalid(reterr, "a file is not as it was written");
}

int backup_read(struct bytes archive, struct backup *ret, struct errmsg *reterr)
{
    CLEANUP(backup_deinit) struct backup b = { 0 };
    struct bytes rest = archive;
    bool end = false;
    int r = 0;

    while (r == 0 && !end)
        r = read_entry(&b, &rest, &end, reterr);
    if (r == 0)
        r = check_sums(&b, reterr);
    if (r)
        return r;
    *ret = b;
    b = (struct backup){ 0 };
    return 0;
}

const struct backup_entry *backup_find(const struct backup *b, const char *name)
{
    for (size_t i = 0; i < b->n; i++) {
        if (strcmp(b->items[i].name, name) == 0)
            return &b->items[i];
    }
    return NULL;
}
