/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/private-dir.h"
#include "daemon/store-sql.h"

/* "INSTANCE NUMBER\n", always as long: written in place, in one sector, so a
 * full disk is no reason why a key cannot be retired. */
#define MARK_LEN 30

static bool mark_parse(const struct store *s, const char *text, uint64_t *ret)
{
    const char *number = text + sizeof(s->instance);

    if (strlen(text) != MARK_LEN || text[MARK_LEN - 1] != '\n' ||
        strncmp(text, s->instance, strlen(s->instance)) != 0 ||
        number[-1] != ' ' || strspn(number, "0123456789") != 20)
        return false;
    *ret = strtoull(number, NULL, 10);
    return true;
}

/* *ret 0: the file says nothing of this registry. */
static int mark_read(struct store *s, uint64_t *ret)
{
    char text[MARK_LEN + 2] = "";
    struct stat st;
    ssize_t n;

    s->mark.fd = openat(s->mark.dir_fd, STORE_MARK_FILE,
                        O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (s->mark.fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(s->mark.fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    n = pread(s->mark.fd, text, sizeof(text) - 1, 0);
    if (n < 0)
        return -errno;
    if (!mark_parse(s, text, ret))
        *ret = 0;
    return 0;
}

static int mark_write(struct store *s, uint64_t number)
{
    char text[MARK_LEN + 1];
    bool made = s->mark.fd < 0;

    if (s->mark.dir_fd < 0)
        return -ENOENT;
    if (made)
        s->mark.fd = openat(s->mark.dir_fd, STORE_MARK_FILE,
                            O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->mark.fd < 0)
        return -errno;
    (void)snprintf(text, sizeof(text), "%.8s %020" PRIu64 "\n", s->instance,
                   number);
    errno = 0;
    if (pwrite(s->mark.fd, text, MARK_LEN, 0) != MARK_LEN)
        return errno ? -errno : -EIO;
    if (ftruncate(s->mark.fd, MARK_LEN) < 0 || fsync(s->mark.fd) < 0 ||
        (made && fsync(s->mark.dir_fd) < 0))
        return -errno;
    s->mark.file = number;
    return 0;
}

/* *ret 0: it has none. */
static int meta_read(struct store *s, uint64_t *ret)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;
    int r;

    r = sql_prepare(s->db, "SELECT value FROM meta WHERE name = 'switches'",
                    &stmt);
    if (r == 0)
        r = sql_step(stmt, &row);
    if (r == 0 && row)
        *ret = (uint64_t)sqlite3_column_int64(stmt, 0);
    return r;
}

static int meta_write(struct store *s, uint64_t number)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    char text[24];
    int r;

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    r = sql_prepare(s->db,
                    "INSERT OR REPLACE INTO meta (name, value)"
                    " VALUES ('switches', ?1)",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, text);
    return r ? r : sql_run(stmt);
}

static int mark_failed(int r, const char *dir, struct errmsg *reterr)
{
    if (r < 0)
        errmsg_set_at(reterr, dir, 0, STORE_MARK_FILE " cannot be used: %s",
                      strerror(-r));
    return r;
}

int store_mark_open(struct store *s, const char *dir, bool *ret_fits,
                    struct errmsg *reterr)
{
    struct store_mark *m = &s->mark;
    int r;

    store_mark_deinit(m);
    r = private_dir_open(dir, 0750, &m->dir_fd, reterr);
    if (r)
        return r == PRIVATE_DIR_E_UNTRUSTED ? STORE_E_UNTRUSTED : r;
    r = mark_read(s, &m->file);
    if (r == 0)
        r = meta_read(s, &m->meta);
    if (r)
        return mark_failed(r, dir, reterr);
    /* A log that is older than the registry is no sign against it. */
    *ret_fits = m->fd < 0 ? m->meta == 0 : m->file > 0 && m->meta >= m->file;
    return 0;
}

static uint64_t mark_highest(const struct store_mark *m)
{
    return m->file > m->meta ? m->file : m->meta;
}

int store_mark_settle(struct store *s)
{
    uint64_t highest = mark_highest(&s->mark);
    int r = 0;

    if (s->mark.fd < 0 && highest == 0)
        return 0;
    if (highest == 0)
        highest = 1;
    if (s->mark.file != highest)
        r = mark_write(s, highest);
    if (r == 0 && s->mark.meta != highest)
        r = meta_write(s, highest);
    if (r == 0)
        s->mark.meta = highest;
    return r;
}

int store_mark_advance(struct store *s)
{
    return mark_write(s, mark_highest(&s->mark) + 1);
}

int store_mark_put(struct store *s)
{
    return s->mark.file > s->mark.meta ? meta_write(s, s->mark.file) : 0;
}

void store_mark_deinit(struct store_mark *m)
{
    if (m->fd >= 0)
        close(m->fd);
    if (m->dir_fd >= 0)
        close(m->dir_fd);
    *m = (struct store_mark){ .dir_fd = -1, .fd = -1 };
}
