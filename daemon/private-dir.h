/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/errmsg.h"

/**
 * private_dir_open() - open a directory of ours, made (0700 or @mode) if
 * missing
 *
 * Whoever can write there could swap the registry, the audit log or their keys:
 * it must belong to root or this process's user, and nobody else may write.
 *
 * Return: 0; PRIVATE_DIR_E_UNTRUSTED; negative errno, both with *reterr.
 */
int private_dir_open(const char *path, mode_t mode, int *ret_fd,
                     struct errmsg *reterr) MUST_CHECK;
#define PRIVATE_DIR_E_UNTRUSTED 1
