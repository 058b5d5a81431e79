/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "acme/dns-name.h"
#include "base/errmsg.h"

/* Domains as people write them, gathered in their one normal form. */

struct records_names {
    char **items;
    size_t n;
};
#define CLEANUP_RECORDS_NAMES CLEANUP(records_names_deinit)
void records_names_deinit(struct records_names *names);

/**
 * records_name_read() - one domain
 *
 * Return: 0; RECORDS_NAMES_E_INVALID with *reterr, which says what to write
 * instead where that is known; -ENOMEM.
 */
int records_name_read(const char *text, char ret[static DNS_NAME_MAX + 1],
                      struct errmsg *reterr) MUST_CHECK;
#define RECORDS_NAMES_E_INVALID 1

int records_names_add(struct records_names *names, const char *text,
                      struct errmsg *reterr) MUST_CHECK;

typedef void (*records_names_bad_fn)(const struct errmsg *e, void *userdata);

/**
 * records_names_read_file() - one a line
 * @file: the name for messages
 * @bad:  called for each line that is no domain; reading goes on
 *
 * Spaces around a name do not matter; empty lines and those that begin with '#'
 * are skipped.
 *
 * Return: 0; RECORDS_NAMES_E_INVALID: @bad was called; negative errno.
 */
int records_names_read_file(struct records_names *names, FILE *f,
                            const char *file, records_names_bad_fn bad,
                            void *userdata) MUST_CHECK;
