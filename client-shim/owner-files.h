/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/errmsg.h"
#include "base/secret.h"

/*
 * Files of another program's user, handled as that user: a child with the ids
 * of the directory's owner opens, replaces and finds them, so that nothing that
 * the owner puts in the way (a link, another file) gets at what only root may
 * touch. No symbolic link is followed anywhere, no path leads out of the
 * directory, and what is replaced is replaced whole.
 *
 * Paths are relative to the directory, without "." and "..". The child is
 * forked before there are secrets or a connection to the daemon.
 */

#define OWNER_PATH_MAX 1023
#define OWNER_FOUND_MAX 64
#define OWNER_CONTENT_MAX (64 * 1024)

struct owner_files;

/* Which file it was, and that it is still the same. All zero: none was there.
 */
struct owner_stamp {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
    uint32_t mode, uid, gid, reserved; /* no padding: they are compared whole */
};

/* With *reterr, which names the file. */
#define OWNER_E_LINK 1    /* a symbolic link in the way */
#define OWNER_E_KIND 2    /* no plain file, or no directory */
#define OWNER_E_CHANGED 3 /* somebody changed it meanwhile */
#define OWNER_E_BUSY 4    /* another program holds the lock */
#define OWNER_E_USER 5    /* another user's, and we are not root */
#define OWNER_E_LARGE 6

/**
 * owner_files_open() - a directory, or the one that a file is in
 *
 * Return: 0; OWNER_E_*, negative errno, with *reterr.
 */
int owner_files_open(const char *path, struct owner_files **ret,
                     struct errmsg *reterr) MUST_CHECK;
/* owner_files_open_above() - the directory of a file that need not be there. */
int owner_files_open_above(const char *path, struct owner_files **ret,
                           struct errmsg *reterr) MUST_CHECK;
struct owner_files *owner_files_free(struct owner_files *o);
DEFINE_CLEANUP(struct owner_files *, owner_files_free)
#define CLEANUP_OWNER_FILES CLEANUP(owner_files_free_p)

/* owner_files_set_limit() - how long one request may take; 30 s otherwise.
 * After -ETIMEDOUT nothing more can be asked. */
int owner_files_set_limit(struct owner_files *o, unsigned ms) MUST_CHECK;

/* The name of the file that was given; NULL: it was a directory. */
const char *owner_files_given(const struct owner_files *o);
uid_t owner_files_uid(const struct owner_files *o);
/* The path for people: of the directory, '/', and @path. */
int owner_files_whole(const struct owner_files *o, const char *path,
                      struct buf *ret) MUST_CHECK;

struct owner_found {
    unsigned n;
    bool more; /* than OWNER_FOUND_MAX */
    char path[OWNER_FOUND_MAX][OWNER_PATH_MAX + 1];
};

/**
 * owner_files_find() - plain files of that name (NULL: of any), in order
 * @under: a directory to begin at; "": the whole
 * @name:  may begin with '*': any name that ends so
 * @depth: directories between @under and the file, at most
 *
 * Where @under is not there nothing is found.
 */
int owner_files_find(struct owner_files *o, const char *under, const char *name,
                     unsigned depth, struct owner_found *ret,
                     struct errmsg *reterr) MUST_CHECK;

/* owner_files_read() - a whole file. -ENOENT is without *reterr. */
int owner_files_read(struct owner_files *o, const char *path, size_t max,
                     struct buf *ret, struct owner_stamp *ret_stamp,
                     struct errmsg *reterr) MUST_CHECK;
int owner_files_read_secret(struct owner_files *o, const char *path,
                            struct secret **ret, struct owner_stamp *ret_stamp,
                            struct errmsg *reterr) MUST_CHECK;

/**
 * owner_files_replace() - new content in the place of what @was says
 * @was:  owner and mode stay; all zero: there must be none yet
 * @mode: of a file that was not there
 */
int owner_files_replace(struct owner_files *o, const char *path,
                        struct bytes content, const struct owner_stamp *was,
                        mode_t mode, struct errmsg *reterr) MUST_CHECK;

/* owner_files_probe() - could owner_files_replace() write there? Nothing
 * changes. */
int owner_files_probe(struct owner_files *o, const char *path,
                      const struct owner_stamp *was,
                      struct errmsg *reterr) MUST_CHECK;

/* owner_files_keep() - a second name beside a file, so that its content stays
 * when the first is replaced. Done already is good. *was is then what the file
 * is like with two. */
int owner_files_keep(struct owner_files *o, const char *path,
                     const char *second, struct owner_stamp *was,
                     struct errmsg *reterr) MUST_CHECK;

/* owner_files_lock() - hold a client's lock as the client does, until the end.
 * @record: by fcntl(2); otherwise the file's being there is the lock */
int owner_files_lock(struct owner_files *o, const char *path, bool record,
                     struct errmsg *reterr) MUST_CHECK;
