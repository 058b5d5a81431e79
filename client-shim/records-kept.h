/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/records-values.h"

/*
 * Values from the daemon, kept in memory and put together by domain: for what
 * must know all values of a name before it does anything about it.
 */

struct kept_value {
    char *account, *domain, *issuer, *accounturi, *value;
    int64_t until_s; /* 0: none */
    bool wildcard, reusable, key_bound, staging, denied;
};

struct records_kept {
    struct kept_value *items;
    size_t n;
};
#define CLEANUP_RECORDS_KEPT CLEANUP(records_kept_deinit)
void records_kept_deinit(struct records_kept *k);

/* records_kept_add() - a copy. Return: 0; -ENOMEM. */
int records_kept_add(struct records_kept *k,
                     const struct records_value *v) MUST_CHECK;

/* records_kept_sort() - by domain, account, issuer; before what follows. */
void records_kept_sort(struct records_kept *k);

/* records_kept_end() - behind the last value of the domain of @from. */
size_t records_kept_end(const struct records_kept *k, size_t from);

/* records_kept_find() - the first value of a domain; k->n: none. */
size_t records_kept_find(const struct records_kept *k, const char *domain);
