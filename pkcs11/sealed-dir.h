/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/errmsg.h"

/*
 * One directory whose files appear whole or not at all. Every function that
 * fails sets *reterr with the file's path.
 */

#define SEALED_TEMPORARY ".new"

struct sealed_dir {
    char *path;
    int fd;
};

/**
 * sealed_dir_make() - the directory, mode 0700, and those above it
 *
 * Those above it are no more open than what they are made in. Run as root, what
 * is made goes to the owner of the directory above.
 *
 * Return: 0, also if it is there; negative errno.
 */
int sealed_dir_make(const char *path, struct errmsg *reterr) MUST_CHECK;

/* sealed_dir_open() - Return: 0; -ENOENT; -EPERM if others can write there, or
 * it belongs to another than root and us; negative errno. */
int sealed_dir_open(const char *path, struct sealed_dir *ret,
                    struct errmsg *reterr) MUST_CHECK;

/* sealed_dir_lock() - waits for other writers; held until *ret_fd is closed. */
int sealed_dir_lock(const struct sealed_dir *d, int *ret_fd,
                    struct errmsg *reterr) MUST_CHECK;

/**
 * sealed_dir_write() - the file @name, whole and synced; the lock is held
 * @replace: over the one that is there; else that is -EEXIST
 */
int sealed_dir_write(const struct sealed_dir *d, const char *name,
                     struct bytes content, bool replace,
                     struct errmsg *reterr) MUST_CHECK;

/* sealed_dir_read() - all of a regular file, appended. Return: 0; -ENOENT;
 * -E2BIG above @max; negative errno. */
int sealed_dir_read(const struct sealed_dir *d, const char *name, size_t max,
                    struct buf *ret, struct stat *ret_stat,
                    struct errmsg *reterr) MUST_CHECK;

int sealed_dir_remove(const struct sealed_dir *d, const char *name,
                      struct errmsg *reterr) MUST_CHECK;

void sealed_dir_deinit(struct sealed_dir *d);
