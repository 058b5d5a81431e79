/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sqlite3.h>

#include "base/cleanup.h"

/**
 * store_copy() - a second file with what @db holds now, also what is in its WAL
 * @file: path of @db; the copy lies beside it
 * @name: of the copy within @dir_fd, the same directory; replaces one that is
 *        there, and only when it is whole and on disk
 *
 * Return: 0; as sql_result(); negative errno.
 */
int store_copy(sqlite3 *db, int dir_fd, const char *file,
               const char *name) MUST_CHECK;
