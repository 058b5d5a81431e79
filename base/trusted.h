/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/errmsg.h"

/* What the one who opens a file or directory asks of it. */
struct trusted_rule {
    mode_t type;       /* S_IFREG or S_IFDIR */
    const char *owner; /* for people: who may own it */
    bool root_uses;    /* root works here for another user: any owner is good */
};

/**
 * trusted_check() - nobody else can change what was opened
 * @st:   of the open descriptor, not of a path
 * @path: for people
 *
 * It belongs to root or to this process's user, and neither its group nor
 * others may write.
 *
 * Return: 0; TRUSTED_E_NO with *reterr.
 */
int trusted_check(const struct stat *st, const char *path,
                  const struct trusted_rule *rule,
                  struct errmsg *reterr) MUST_CHECK;
#define TRUSTED_E_NO 1

/**
 * trusted_path() - nobody else can change what stands at a path
 * @path: absolute; links are followed
 * @ret:  the same by a path without links; freed by the caller
 *
 * The rule is of the last one; the directories above it are trusted_check()ed,
 * too, and one with the sticky bit may be writable for others. What is good for
 * this is good when @ret is used, and not necessarily when @path is.
 *
 * Return: 0; TRUSTED_E_NO or negative errno, both with *reterr.
 */
int trusted_path(const char *path, const struct trusted_rule *rule, char **ret,
                 struct errmsg *reterr) MUST_CHECK;
