/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "base/array.h"
#include "daemon/store-sql.h"

/* gcc 12 loses sight of what array_grown() has given to its caller, and calls
 * it leaked. Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

int store_deny(struct store *s, const struct store_denied *x)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db,
                    "INSERT INTO denied (name, since_s, by)"
                    " VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, x->name);
    if (r == 0)
        r = sql_bind_i64(stmt, 2, x->since_s);
    if (r == 0)
        r = sql_bind_text(stmt, 3, x->by);
    return r ? r : sql_run(stmt);
}

int store_allow(struct store *s, const char *name)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db, "DELETE FROM denied WHERE name = ?1", &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, name);
    if (r == 0)
        r = sql_run(stmt);
    if (r)
        return r;
    return sqlite3_changes(s->db) > 0 ? 0 : STORE_E_MISSING;
}

struct denied_array {
    struct store_denied *items;
    size_t n;
};

static void denied_array_deinit(struct denied_array *x)
{
    store_denied_free(x->items, x->n);
}

static int read_denied(sqlite3_stmt *stmt, struct denied_array *all)
{
    struct store_denied *x = array_grown(all->items, all->n, sizeof(*x));
    int r;

    if (!x)
        return -ENOMEM;
    all->items = x;
    x += all->n++;
    *x = (struct store_denied){ .since_s = sqlite3_column_int64(stmt, 1) };
    r = sql_text(stmt, 0, &x->name);
    return r ? r : sql_text(stmt, 2, &x->by);
}

int store_denied(struct store *s, struct store_denied **ret, size_t *ret_n)
{
    CLEANUP(denied_array_deinit) struct denied_array x = { 0 };
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;
    int r;

    r = sql_prepare(s->db, "SELECT name, since_s, by FROM denied ORDER BY name",
                    &stmt);
    while (r == 0) {
        r = sql_step(stmt, &row);
        if (r || !row)
            break;
        r = read_denied(stmt, &x);
    }
    if (r)
        return r;
    *ret_n = x.n;
    *ret = TAKE_PTR(x.items);
    x.n = 0;
    return 0;
}

void store_denied_free(struct store_denied *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(x[i].name);
        free(x[i].by);
    }
    free(x);
}
