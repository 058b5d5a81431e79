/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

#include "tmp-dir.h"

/* full_account() - every member set, each to something of its own. */
struct store_account full_account(void);

/* small_account() - with what it must have alone; @name is borrowed. */
struct store_account small_account(char *name);

void assert_account(const struct store_account *a,
                    const struct store_account *b);

/* open_store() - the registry in a directory; must succeed. */
struct store *open_store(struct tmp_dir *d);

/* assert_refused() - opening it ends with @code, and @words say why. */
void assert_refused(struct tmp_dir *d, int code, const char *words);

/* accounts_free() - what store_accounts() gave. */
void accounts_free(struct store_account *a, size_t n);

/* sql() - changes the registry behind the daemon's back. */
void sql(struct tmp_dir *d, const char *text);

#define IN_DIR(fn)                                                             \
    cmocka_unit_test_setup_teardown(fn, tmp_dir_new, tmp_dir_free)
