/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"

/*
 * Files that appear whole or not at all, and never over one that is there:
 * whoever made that one meant it, and an earlier run is finished by the next.
 */

/**
 * setup_file_make() - one file, its directory synced
 *
 * Return: 0; SETUP_FILE_E_THERE; negative errno.
 */
int setup_file_make(const char *path, struct bytes content,
                    mode_t mode) MUST_CHECK;
#define SETUP_FILE_E_THERE 1

/* setup_file_there() - Return: 0: no; SETUP_FILE_E_THERE; negative errno. */
int setup_file_there(const char *path) MUST_CHECK;

/**
 * setup_dir_make() - a directory that belongs to @uid and @gid
 *
 * The one above must be there and belong to root. What is there must be a
 * directory, of that owner, and is left as it is.
 *
 * Return: 0; SETUP_FILE_E_THERE; -ENOTDIR; -EPERM: another's; negative errno.
 */
int setup_dir_make(const char *path, mode_t mode, uid_t uid,
                   gid_t gid) MUST_CHECK;
