/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "client-shim/ctl.h"

/*
 * The records that the daemon keeps, page by page: what was asked for, without
 * values, whether or not the account is proven.
 */

struct records_record {
    const char *account;
    const char *domain; /* normal form */
    const char *issuer;
    const char *added; /* RFC 3339 */
    int64_t until_s;   /* 0: none */
    bool wildcard;
    bool reusable;
    json_t *row;
};

typedef int (*records_record_fn)(const struct records_record *r,
                                 void *userdata);

/* records_list_each() - as records_values_each(), without a proof. @account and
 * @domain (normal form) may be NULL. */
int records_list_each(const struct ctl_context *c, const char *account,
                      const char *domain, records_record_fn fn,
                      void *userdata) MUST_CHECK;

bool records_record_read(json_t *row, struct records_record *ret) MUST_CHECK;
