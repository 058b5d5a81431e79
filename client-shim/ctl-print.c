/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-print.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct ctl_row {
    char *cells[CTL_TABLE_COLUMNS_MAX];
};

void ctl_print_json(json_t *value)
{
    if (!value || json_dumpf(value, stdout, JSON_COMPACT) != 0)
        (void)ctl_fail(CTL_EXIT_TRY_AGAIN, "stdout: cannot write the answer");
    (void)putchar('\n');
    json_decref(value);
}

void ctl_table_deinit(struct ctl_table *t)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        for (unsigned c = 0; c < CTL_TABLE_COLUMNS_MAX; c++)
            free(t->rows[i].cells[c]);
    }
    free(t->rows);
    *t = (struct ctl_table){ 0 };
}

static char *table_cell(const char *text)
{
    char *cell = strdup(text && *text ? text : "-");

    for (char *p = cell; p && *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    return cell;
}

void ctl_table_row(struct ctl_table *t, const char *const *cells, size_t n)
{
    struct ctl_row *rows;

    assert(n == t->n_columns);
    rows = reallocarray(t->rows, t->n_rows + 1, sizeof(*rows));
    if (!rows) {
        t->failed = true;
        return;
    }
    t->rows = rows;
    rows[t->n_rows] = (struct ctl_row){ { NULL } };
    for (size_t c = 0; c < n; c++) {
        rows[t->n_rows].cells[c] = table_cell(cells[c]);
        if (!rows[t->n_rows].cells[c])
            t->failed = true;
    }
    t->n_rows++;
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

int ctl_table_format(const struct ctl_table *t, struct buf *b)
{
    int widths[CTL_TABLE_COLUMNS_MAX] = { 0 };
    int r = 0;

    if (t->failed)
        return -ENOMEM;
    for (size_t i = 0; i < t->n_rows; i++) {
        for (unsigned c = 0; c + 1 < t->n_columns; c++) {
            int n = display_width(t->rows[i].cells[c]);

            widths[c] = n > widths[c] ? n : widths[c];
        }
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        for (unsigned c = 0; r == 0 && c < t->n_columns; c++) {
            const char *cell = t->rows[i].cells[c];
            int pad = widths[c] - display_width(cell) + 2;

            r = c + 1 < t->n_columns ? buf_printf(b, "%s%*s", cell, pad, "")
                                     : buf_printf(b, "%s\n", cell);
        }
    }
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
