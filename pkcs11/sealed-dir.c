/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writers are rare (a key is made once in months), so one lock and one name for
 * the temporary file serve all of them, and what a crash leaves is replaced by
 * the next writer.
 */
#include "pkcs11/sealed-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/trusted.h"

static int fail(const struct sealed_dir *d, const char *name, const char *what,
                struct errmsg *reterr)
{
    int e = errno;
    char path[sizeof(reterr->file)];

    (void)snprintf(path, sizeof(path), "%s%s%s", d->path, name[0] ? "/" : "",
                   name);
    errmsg_set_at(reterr, path, 0, "cannot be %s: %s", what, strerror(e));
    return -e;
}

/* What root makes for the helper must be readable by the helper. */
static int give_to(int fd, uid_t uid, gid_t gid)
{
    if (geteuid() != 0 || uid == 0)
        return 0;
    return fchown(fd, uid, gid);
}

/* Tried first: what is there need not be readable to us. */
static int make_one(const char *path, bool last)
{
    CLEANUP_FREE char *above = NULL;
    CLEANUP_FD int above_fd = -1;
    CLEANUP_FD int fd = -1;
    struct stat st;

    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    if (asprintf(&above, "%s/..", path) < 0)
        return -ENOMEM;
    above_fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (above_fd < 0 || fd < 0 || fstat(above_fd, &st) < 0 ||
        fchmod(fd, last ? 0700 : st.st_mode & 0755) < 0 ||
        give_to(fd, st.st_uid, st.st_gid) < 0)
        return -errno;
    return fsync(above_fd) < 0 ? -errno : 0;
}

/* The first that is missing, then the next: none is made above a failure. */
static int make_all(char *path)
{
    size_t len = strlen(path);
    int r = 0;

    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    for (size_t i = 1; r == 0 && i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        path[i] = '\0';
        r = make_one(path, i == len);
        if (i < len)
            path[i] = '/';
    }
    return r;
}

int sealed_dir_make(const char *path, struct errmsg *reterr)
{
    CLEANUP_FREE char *copy = strdup(path);
    struct sealed_dir d = { .path = copy, .fd = -1 };
    int r;

    if (!copy)
        return -ENOMEM;
    r = make_all(copy);
    if (r == 0)
        return 0;
    errno = -r;
    return fail(&d, "", "made", reterr);
}

int sealed_dir_open(const char *path, struct sealed_dir *ret,
                    struct errmsg *reterr)
{
    static const struct trusted_rule rule = {
        .type = S_IFDIR,
        .owner = "root or the helper's user",
        .root_uses = true,
    };
    struct sealed_dir d = { .path = strdup(path), .fd = -1 };
    struct stat st;
    int r = 0;

    if (!d.path)
        return -ENOMEM;
    d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d.fd < 0 || fstat(d.fd, &st) < 0) {
        r = fail(&d, "", "opened", reterr);
    } else if (trusted_check(&st, path, &rule, reterr)) {
        /* They could put back an older header or a record of failed PINs, or
         * remove keys. */
        r = -EPERM;
    }
    if (r) {
        sealed_dir_deinit(&d);
        return r;
    }
    *ret = d;
    return 0;
}

int sealed_dir_lock(const struct sealed_dir *d, int *ret_fd,
                    struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;

    /* Opened anew: a lock belongs to the open file, which threads share. */
    fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(d, "", "opened", reterr);
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR)
            return fail(d, "", "locked", reterr);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int write_all(int fd, struct bytes content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        content.data += n;
        content.len -= (size_t)n;
    }
    return fsync(fd);
}

static int put_in_place(const struct sealed_dir *d, const char *name,
                        bool replace, struct errmsg *reterr)
{
    if (renameat2(d->fd, SEALED_TEMPORARY, d->fd, name,
                  replace ? 0 : RENAME_NOREPLACE) < 0)
        return fail(d, name, "put in place", reterr);
    if (fsync(d->fd) < 0)
        return fail(d, "", "synced", reterr);
    return 0;
}

int sealed_dir_write(const struct sealed_dir *d, const char *name,
                     struct bytes content, bool replace, struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    struct stat st;
    int r = 0;

    if (unlinkat(d->fd, SEALED_TEMPORARY, 0) < 0 && errno != ENOENT)
        return fail(d, SEALED_TEMPORARY, "removed", reterr);
    fd = openat(d->fd, SEALED_TEMPORARY,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(d, SEALED_TEMPORARY, "made", reterr);
    if (fstat(d->fd, &st) < 0 || fchmod(fd, 0600) < 0 ||
        give_to(fd, st.st_uid, st.st_gid) < 0 || write_all(fd, content) < 0)
        r = fail(d, SEALED_TEMPORARY, "written", reterr);
    if (r == 0)
        r = put_in_place(d, name, replace, reterr);
    if (r)
        (void)unlinkat(d->fd, SEALED_TEMPORARY, 0);
    return r;
}

static int read_all(int fd, size_t max, struct buf *ret)
{
    size_t before = ret->len;

    for (;;) {
        uint8_t chunk[4096];
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            return 0;
        errno = E2BIG;
        if (ret->len - before + (size_t)n > max)
            return -1;
        errno = ENOMEM;
        if (buf_append(ret, chunk, (size_t)n))
            return -1;
    }
}

int sealed_dir_read(const struct sealed_dir *d, const char *name, size_t max,
                    struct buf *ret, struct stat *ret_stat,
                    struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    struct stat st;

    /* O_NONBLOCK: somebody's FIFO must not hang the helper. */
    fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || read_all(fd, max, ret) < 0)
        return fail(d, name, "read", reterr);
    if (ret_stat)
        *ret_stat = st;
    return 0;
}

int sealed_dir_remove(const struct sealed_dir *d, const char *name,
                      struct errmsg *reterr)
{
    if (unlinkat(d->fd, name, 0) < 0)
        return fail(d, name, "removed", reterr);
    if (fsync(d->fd) < 0)
        return fail(d, "", "synced", reterr);
    return 0;
}

void sealed_dir_deinit(struct sealed_dir *d)
{
    free(d->path);
    if (d->fd >= 0)
        close(d->fd);
    *d = (struct sealed_dir){ .fd = -1 };
}
