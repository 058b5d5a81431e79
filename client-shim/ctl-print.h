/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "client-shim/ctl.h"

/* What commands print: one JSON document a line, or aligned columns. */

/* ctl_print_json() - takes the reference over; NULL is out of memory. */
void ctl_print_json(json_t *value);

#define CTL_TABLE_COLUMNS_MAX 8

/*
 * Columns as wide as their widest cell. Control characters in cells become
 * '?', an absent cell "-". After a failed append the table prints nothing and
 * ctl_table_print() says so.
 */
struct ctl_table {
    unsigned n_columns;
    json_t *rows; /* arrays of strings */
    bool failed;
};
#define CLEANUP_CTL_TABLE CLEANUP(ctl_table_deinit)
void ctl_table_deinit(struct ctl_table *t);

/* CTL_TABLE_ROW() - a cell for each column, NULL where there is nothing. */
void ctl_table_row(struct ctl_table *t, const char *const *cells, size_t n);
#define CTL_TABLE_ROW(t, ...)                                                  \
    ctl_table_row(t, (const char *const[]){ __VA_ARGS__ },                     \
                  ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))
/* ctl_table_pair() - "NAME: VALUE" of a table of two columns; no row if the
 * value is NULL. */
void ctl_table_pair(struct ctl_table *t, const char *name, const char *value);
void ctl_table_pair_list(struct ctl_table *t, const char *name,
                         const json_t *strings);

int ctl_table_format(const struct ctl_table *t, struct buf *b) MUST_CHECK;
/* ctl_table_print() - Return: CTL_EXIT_DONE, or the code of the failure. */
int ctl_table_print(const struct ctl_table *t);

/* Members of the daemon's answers, NULL/0/false where absent. */
const char *ctl_string(const json_t *object, const char *name);
long long ctl_integer(const json_t *object, const char *name);
bool ctl_true(const json_t *object, const char *name);
