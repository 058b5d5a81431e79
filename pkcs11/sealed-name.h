/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"
#include "ipc/token-proto.h"

/* The file names of keys in a sealed store, both ways. */

#define SEALED_SUFFIX ".key"

/* sealed_name_escape() - appended. Return: 0; -ENAMETOOLONG; -EINVAL for an
 * empty label; -ENOMEM. */
int sealed_name_escape(const char *label, struct buf *ret) MUST_CHECK;

/* sealed_name_unescape() - only names that sealed_name_escape() makes.
 * Return: 0; -EINVAL. */
int sealed_name_unescape(const char *name,
                         char ret[static TOKEN_LABEL_MAX + 1]) MUST_CHECK;
