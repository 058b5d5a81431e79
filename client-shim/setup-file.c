/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/setup-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Replaced by the next run, should this one be killed. No reader of ours takes
 * a name with a dot in front. */
#define TEMPORARY ".guardianctl-setup.new"

int setup_file_there(const char *path)
{
    struct stat st;

    /* A link that leads nowhere is there too. */
    if (lstat(path, &st) == 0)
        return SETUP_FILE_E_THERE;
    return errno == ENOENT ? 0 : -errno;
}

static int open_above(const char *path, int *ret_fd, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *above = NULL;
    int fd;

    if (!slash || !slash[1])
        return -EINVAL;
    above = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!above)
        return -ENOMEM;
    fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    *ret_name = slash + 1;
    return 0;
}

static int write_all(int fd, struct bytes content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        content.data += n;
        content.len -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int make_temporary(int dir_fd, struct bytes content, mode_t mode)
{
    CLEANUP_FD int fd = -1;

    if (unlinkat(dir_fd, TEMPORARY, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(dir_fd, TEMPORARY,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return -errno;
    return write_all(fd, content);
}

int setup_file_make(const char *path, struct bytes content, mode_t mode)
{
    CLEANUP_FD int dir_fd = -1;
    const char *name = "";
    int r;

    r = setup_file_there(path);
    if (r == 0)
        r = open_above(path, &dir_fd, &name);
    if (r)
        return r;
    r = make_temporary(dir_fd, content, mode);
    if (r == 0 &&
        renameat2(dir_fd, TEMPORARY, dir_fd, name, RENAME_NOREPLACE) < 0)
        r = errno == EEXIST ? SETUP_FILE_E_THERE : -errno;
    if (r)
        (void)unlinkat(dir_fd, TEMPORARY, 0);
    else if (fsync(dir_fd) < 0)
        r = -errno;
    return r;
}

static int give(int fd, const struct stat *st, uid_t uid, gid_t gid)
{
    if (st->st_uid == uid)
        return 0;
    return fchown(fd, uid, gid) < 0 ? -errno : 0;
}

/* What a run made that was killed before it gave it away is root's still. */
static int check_dir(int fd, mode_t mode, uid_t uid, gid_t gid, bool made)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!made && st.st_uid == uid)
        return SETUP_FILE_E_THERE;
    if (!made && (st.st_uid != 0 || (st.st_mode & 07777) != mode))
        return -EPERM;
    return give(fd, &st, uid, gid);
}

int setup_dir_make(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    CLEANUP_FD int dir_fd = -1;
    CLEANUP_FD int fd = -1;
    const char *name = "";
    struct stat st;
    bool made;
    int r;

    r = open_above(path, &dir_fd, &name);
    if (r)
        return r;
    /* Who can write above could put anything in its place. */
    if (fstat(dir_fd, &st) < 0)
        return -errno;
    if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return -EPERM;
    made = mkdirat(dir_fd, name, mode) == 0;
    if (!made && errno != EEXIST)
        return -errno;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ELOOP ? -ENOTDIR : -errno;
    r = check_dir(fd, mode, uid, gid, made);
    if (r == 0 && fsync(dir_fd) < 0)
        r = -errno;
    return r;
}
