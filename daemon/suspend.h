/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/* What is suspended (all, an account, a client's uid), in memory as in the
 * registry. */
struct suspend {
    struct store_suspension *items;
    size_t n;
};

/* suspend_load() - read from the registry. */
int suspend_load(struct suspend *s, struct store *store) MUST_CHECK;
void suspend_deinit(struct suspend *s);

/* suspend_covers() - may nothing be signed for this account and caller? */
bool suspend_covers(const struct suspend *s, const char *account, uid_t uid);

/* suspend_account() - the account itself, or all. */
bool suspend_account(const struct suspend *s, const char *account);

/*
 * suspend_scope_ok() - "all" without a name, "account" with one, "client" with
 * a uid in decimal.
 */
bool suspend_scope_ok(const char *scope, const char *name);
