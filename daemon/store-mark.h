/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/*
 * How often keys were retired, in a file beside the audit log as well as in the
 * registry: one that was rolled back in whatever way, without the log, is
 * behind. The file is first: a crash between the two costs a question that was
 * not needed. There is no file and no number before the first key is retired.
 */

#define STORE_MARK_FILE "switches"

/**
 * store_mark_open() - do the registry and the file in @dir agree?
 * @ret_fits: false: the registry may be an old one, so the CA has to say of
 *            every account whether its key is still the account's; then
 *            store_mark_settle()
 *
 * Return: 0; STORE_E_UNTRUSTED; negative errno, with *reterr.
 */
int store_mark_open(struct store *s, const char *dir, bool *ret_fits,
                    struct errmsg *reterr) MUST_CHECK;

/* store_mark_settle() - from now on they agree. */
int store_mark_settle(struct store *s) MUST_CHECK;

/* store_mark_advance() - a key is about to be retired: on disk in the file when
 * this returns 0, and in the registry with the next store_rotation_put(). */
int store_mark_advance(struct store *s) MUST_CHECK;

/* store_mark_put() - what store_rotation_put() does in its transaction. */
int store_mark_put(struct store *s) MUST_CHECK;
