/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "daemon/store-sql.h"

#define NEW_FILE "registry.copy"

static void close_db(sqlite3 **db)
{
    (void)sqlite3_close(*db);
}

/* Whatever an earlier try left is not taken up. */
static int create_new(int dir_fd, int *ret_fd)
{
    int fd;

    if (unlinkat(dir_fd, NEW_FILE, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(dir_fd, NEW_FILE,
                O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int copy_into(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int rc, end;

    if (!backup)
        return sql_result(to, sqlite3_errcode(to));
    rc = sqlite3_backup_step(backup, -1);
    end = sqlite3_backup_finish(backup);
    if (rc != SQLITE_DONE)
        return rc == SQLITE_OK ? -EIO : sql_result(to, rc);
    return sql_result(to, end);
}

static int copy_pages(sqlite3 *from, const char *path)
{
    CLEANUP(close_db) sqlite3 *to = NULL;
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL);
    int r = sql_result(to, rc);

    return r ? r : copy_into(from, to);
}

static int path_beside(const char *file, struct buf *ret)
{
    const char *slash = strrchr(file, '/');
    int r = 0;

    if (slash)
        r = buf_append(ret, file, (size_t)(slash - file) + 1);
    return r ? r : buf_append_str(ret, NEW_FILE);
}

int store_copy(sqlite3 *db, int dir_fd, const char *file, const char *name)
{
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_FD int fd = -1;
    int r;

    r = path_beside(file, &path);
    if (r == 0)
        r = create_new(dir_fd, &fd);
    if (r)
        return r;
    r = copy_pages(db, buf_str(&path));
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(dir_fd, NEW_FILE, dir_fd, name) < 0)
        r = -errno;
    if (r == 0 && fsync(dir_fd) < 0)
        r = -errno;
    if (r)
        (void)unlinkat(dir_fd, NEW_FILE, 0);
    return r;
}

static int image_of(sqlite3 *db, uint8_t **ret, size_t *ret_len)
{
    sqlite3_int64 len = 0;
    unsigned char *data = sqlite3_serialize(db, "main", &len, 0);

    if (!data)
        return -ENOMEM;
    *ret = data;
    *ret_len = (size_t)len;
    return 0;
}

/* By way of a copy in memory: serialising the file would leave its WAL out. */
int store_image(struct store *s, uint8_t **ret, size_t *ret_len)
{
    CLEANUP(close_db) sqlite3 *copy = NULL;
    int rc = sqlite3_open_v2(":memory:", &copy, SQLITE_OPEN_READWRITE, NULL);
    int r = sql_result(copy, rc);

    if (r == 0)
        r = copy_into(s->db, copy);
    return r ? r : image_of(copy, ret, ret_len);
}

void store_image_free(uint8_t *image)
{
    sqlite3_free(image);
}
