/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/issue-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define TEMPORARY ".%s.guardianctl-new"
#define MARK ".%s.guardianctl-reload"
#define TRIES 8

static int fail(const struct issue_file *f, int r, struct errmsg *reterr)
{
    errmsg_set(reterr, "%s: %s", f->path, strerror(-r));
    return r;
}

void issue_file_deinit(struct issue_file *f)
{
    if (f->path && f->fd >= 0) {
        (void)unlinkat(f->dir_fd, f->temporary, 0);
        close(f->fd);
    }
    if (f->path && f->dir_fd >= 0)
        close(f->dir_fd);
    free(f->path);
    free(f->temporary);
    *f = (struct issue_file){ .dir_fd = -1, .fd = -1 };
}

/* The path with links resolved. Of a file that is not there yet, the directory
 * must be. */
static int resolve(const char *path, char **ret)
{
    CLEANUP_FREE char *whole = realpath(path, NULL);
    CLEANUP_FREE char *above = NULL;
    CLEANUP_FREE char *dir = NULL;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    CLEANUP_BUF struct buf joined = { 0 };
    struct stat st;

    if (whole) {
        *ret = TAKE_PTR(whole);
        return 0;
    }
    if (errno != ENOENT)
        return -errno;
    /* A link to nowhere: what is meant is not ours to guess. */
    if (lstat(path, &st) == 0)
        return -ENOENT;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EISDIR;
    above = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    dir = above ? realpath(above, NULL) : NULL;
    if (!dir)
        return above ? -errno : -ENOMEM;
    if (buf_printf(&joined, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name))
        return -ENOMEM;
    *ret = buf_take_str(&joined);
    return 0;
}

static int open_dir(struct issue_file *f)
{
    char *slash = strrchr(f->path, '/');
    CLEANUP_FREE char *above = NULL;
    CLEANUP_BUF struct buf temporary = { 0 };

    f->name = slash + 1;
    if (strlen(f->name) > NAME_MAX - strlen(MARK))
        return -ENAMETOOLONG;
    above = strndup(f->path, slash == f->path ? 1 : (size_t)(slash - f->path));
    if (!above || buf_printf(&temporary, TEMPORARY, f->name))
        return -ENOMEM;
    f->temporary = buf_take_str(&temporary);
    f->dir_fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->dir_fd < 0 ? -errno : 0;
}

int issue_file_find(const char *path, struct issue_file *ret,
                    struct errmsg *reterr)
{
    CLEANUP_ISSUE_FILE struct issue_file f = { .dir_fd = -1, .fd = -1 };
    struct stat st;
    int r;

    r = resolve(path, &f.path);
    if (r) {
        errmsg_set(reterr, "%s: %s", path, strerror(-r));
        return r;
    }
    r = open_dir(&f);
    if (r == 0 && fstatat(f.dir_fd, f.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISREG(st.st_mode)) {
        errmsg_set(reterr, "%s: is no plain file", f.path);
        return -EINVAL;
    }
    if (r)
        return fail(&f, r, reterr);
    *ret = f;
    f = (struct issue_file){ .dir_fd = -1, .fd = -1 };
    return 0;
}

int issue_file_open(const struct issue_file *f, int *ret_fd,
                    struct errmsg *reterr)
{
    int fd = openat(f->dir_fd, f->name,
                    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

    if (fd < 0)
        return fail(f, -errno, reterr);
    *ret_fd = fd;
    return 0;
}

/* Is what was opened and locked still what the name leads to? The run that had
 * it may have put it into place, or removed it, in between. */
static bool still_there(const struct issue_file *f, int fd)
{
    struct stat opened, named;

    return fstat(fd, &opened) == 0 &&
           fstatat(f->dir_fd, f->temporary, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* A run of root's may have given it to the owner of the file in place already.
 * A key has none in place yet, and is nobody's but ours. */
static bool is_given(const struct issue_file *f, const struct stat *st)
{
    struct stat old;

    return geteuid() == 0 && !f->exclusive &&
           fstatat(f->dir_fd, f->name, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
           old.st_uid == st->st_uid;
}

/* No second name of a file that is in use, and nobody else's file: who made it
 * may hold it open still, and would read what is written to it. */
static int check_own(const struct issue_file *f, int fd, struct errmsg *reterr)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail(f, -errno, reterr);
    if (S_ISREG(st.st_mode) && st.st_nlink == 1 &&
        (st.st_uid == geteuid() || is_given(f, &st)))
        return 0;
    errmsg_set(reterr,
               "%s: %s beside it is another user's, or has a second name: "
               "remove it",
               f->path, f->temporary);
    return -EPERM;
}

static int open_locked(struct issue_file *f, int flags, struct errmsg *reterr)
{
    for (unsigned i = 0; i < TRIES; i++) {
        CLEANUP_FD int fd =
            openat(f->dir_fd, f->temporary,
                   O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | flags, 0600);
        int r;

        if (fd < 0)
            return fail(f, -errno, reterr);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
            break;
        if (!still_there(f, fd))
            continue;
        r = check_own(f, fd, reterr);
        if (r)
            return r;
        f->fd = TAKE_FD(fd);
        return 0;
    }
    errmsg_set(reterr, "%s: another guardianctl issue is at work on it",
               f->path);
    return ISSUE_FILE_E_BUSY;
}

/* Who could read the old file can read the new one, and nobody else. */
static int give(const struct issue_file *f, mode_t mode)
{
    struct stat st, own;

    if (fchmod(f->fd, 0600) < 0 || ftruncate(f->fd, 0) < 0 ||
        fstat(f->fd, &own) < 0)
        return -errno;
    if (fstatat(f->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if ((st.st_uid != own.st_uid || st.st_gid != own.st_gid) &&
            fchown(f->fd, st.st_uid, st.st_gid) < 0)
            return -errno;
        mode = st.st_mode & 0777;
    } else if (errno != ENOENT) {
        return -errno;
    }
    return fchmod(f->fd, mode) < 0 ? -errno : 0;
}

int issue_file_prepare(struct issue_file *f, mode_t mode, struct errmsg *reterr)
{
    int r = 0;

    if (f->fd < 0)
        r = open_locked(f, O_CREAT, reterr);
    if (r)
        return r;
    r = give(f, mode);
    return r ? fail(f, r, reterr) : 0;
}

int issue_file_resume(struct issue_file *f, struct errmsg *reterr)
{
    return open_locked(f, 0, reterr);
}

int issue_file_write(const struct issue_file *f, struct bytes content,
                     struct errmsg *reterr)
{
    size_t at = 0;

    while (at < content.len) {
        ssize_t n =
            pwrite(f->fd, content.data + at, content.len - at, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(f, -errno, reterr);
        at += (size_t)n;
    }
    return fsync(f->fd) < 0 ? fail(f, -errno, reterr) : 0;
}

int issue_file_commit(struct issue_file *f, struct errmsg *reterr)
{
    unsigned flags = f->exclusive ? RENAME_NOREPLACE : 0;

    if (renameat2(f->dir_fd, f->temporary, f->dir_fd, f->name, flags) < 0)
        return fail(f, -errno, reterr);
    close(TAKE_FD(f->fd));
    return fsync(f->dir_fd) < 0 ? fail(f, -errno, reterr) : 0;
}

static int mark_name(const struct issue_file *f, char ret[static NAME_MAX + 1])
{
    int n = snprintf(ret, NAME_MAX + 1, MARK, f->name);

    return n < 0 || n > NAME_MAX ? -ENAMETOOLONG : 0;
}

int issue_file_mark(const struct issue_file *f, struct errmsg *reterr)
{
    char name[NAME_MAX + 1];
    CLEANUP_FD int fd = -1;
    int r = mark_name(f, name);

    if (r)
        return fail(f, r, reterr);
    fd = openat(f->dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                0600);
    if (fd < 0 || fsync(f->dir_fd) < 0)
        return fail(f, -errno, reterr);
    return 0;
}

bool issue_file_marked(const struct issue_file *f)
{
    char name[NAME_MAX + 1];
    struct stat st;

    return mark_name(f, name) == 0 &&
           fstatat(f->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int issue_file_unmark(const struct issue_file *f, struct errmsg *reterr)
{
    char name[NAME_MAX + 1];
    int r = mark_name(f, name);

    if (r)
        return fail(f, r, reterr);
    if (unlinkat(f->dir_fd, name, 0) < 0 && errno != ENOENT)
        return fail(f, -errno, reterr);
    return 0;
}
