/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-print.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void ctl_print_json(json_t *value)
{
    if (!value || json_dumpf(value, stdout, JSON_COMPACT) != 0)
        (void)ctl_fail(CTL_EXIT_TRY_AGAIN, "stdout: cannot write the answer");
    (void)putchar('\n');
    json_decref(value);
}

void ctl_table_deinit(struct ctl_table *t)
{
    json_decref(t->rows);
    *t = (struct ctl_table){ 0 };
}

/* Not checked for UTF-8: names of files need not be. */
static json_t *table_cell(const char *text)
{
    CLEANUP_FREE char *cell = strdup(text && *text ? text : "-");

    if (!cell)
        return NULL;
    for (char *p = cell; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    return json_string_nocheck(cell);
}

void ctl_table_row(struct ctl_table *t, const char *const *cells, size_t n)
{
    json_t *row = json_array();

    assert(n == t->n_columns);
    if (!t->rows)
        t->rows = json_array();
    for (size_t c = 0; c < n; c++) {
        if (json_array_append_new(row, table_cell(cells[c])) < 0)
            t->failed = true;
    }
    if (json_array_append_new(t->rows, row) < 0)
        t->failed = true;
}

void ctl_table_pair(struct ctl_table *t, const char *name, const char *value)
{
    if (value)
        CTL_TABLE_ROW(t, name, value);
}

void ctl_table_pair_list(struct ctl_table *t, const char *name,
                         const json_t *strings)
{
    CLEANUP_BUF struct buf all = { 0 };

    for (size_t i = 0; i < json_array_size(strings); i++) {
        const char *text = json_string_value(json_array_get(strings, i));

        if (buf_printf(&all, "%s%s", i ? " " : "", text ? text : ""))
            t->failed = true;
    }
    if (all.len)
        ctl_table_pair(t, name, buf_str(&all));
}

/* Continuation octets of UTF-8 take no column. */
static int display_width(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static const char *cell_at(const struct ctl_table *t, size_t row, unsigned c)
{
    return json_string_value(json_array_get(json_array_get(t->rows, row), c));
}

static int format_row(const struct ctl_table *t, size_t row,
                      const int widths[static CTL_TABLE_COLUMNS_MAX],
                      struct buf *b)
{
    int r = 0;

    for (unsigned c = 0; r == 0 && c < t->n_columns; c++) {
        const char *cell = cell_at(t, row, c);
        int pad = widths[c] - display_width(cell) + 2;

        r = c + 1 < t->n_columns ? buf_printf(b, "%s%*s", cell, pad, "")
                                 : buf_printf(b, "%s\n", cell);
    }
    return r;
}

int ctl_table_format(const struct ctl_table *t, struct buf *b)
{
    int widths[CTL_TABLE_COLUMNS_MAX] = { 0 };
    size_t n_rows = json_array_size(t->rows);
    int r = 0;

    if (t->failed)
        return -ENOMEM;
    for (size_t i = 0; i < n_rows; i++) {
        for (unsigned c = 0; c + 1 < t->n_columns; c++) {
            int n = display_width(cell_at(t, i, c));

            widths[c] = n > widths[c] ? n : widths[c];
        }
    }
    for (size_t i = 0; r == 0 && i < n_rows; i++)
        r = format_row(t, i, widths, b);
    return r;
}

int ctl_table_print(const struct ctl_table *t)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r;

    r = ctl_table_format(t, &text);
    if (r)
        return ctl_fail_errno(r, "table");
    (void)fputs(buf_str(&text), stdout);
    return CTL_EXIT_DONE;
}

const char *ctl_string(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

long long ctl_integer(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

bool ctl_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}
