/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/*
 * The second sign of an old registry; the first is store-mark.h. A file that
 * was moved away and back, or rolled back by its file system, is the same to
 * this.
 */

/*
 * store_place_check() - is the registry's file the one that it was?
 * @dir_fd: its directory; @name: its name there
 *
 * A copy is another file, unless it was written over this one. It may be old
 * and know keys that the CA knows no more, so every registered account of a
 * file that is not the noted one becomes must_ask, in one transaction with the
 * note. A registry without a note (a new one, an older schema) gets it.
 */
int store_place_check(struct store *s, int dir_fd, const char *name) MUST_CHECK;
