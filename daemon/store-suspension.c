/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "daemon/store-sql.h"

/* The table has no NULL in its key: the name of "all" is empty. */
static const char *key_name(const char *name)
{
    return name ? name : "";
}

/* ?1 and ?2 are what every statement here goes by. */
static int prepare(struct store *s, const char *sql, const char *scope,
                   const char *name, sqlite3_stmt **ret)
{
    int r = sql_prepare(s->db, sql, ret);

    if (r == 0)
        r = sql_bind_text(*ret, 1, scope);
    return r ? r : sql_bind_text(*ret, 2, key_name(name));
}

#define INSERT_INTO(table)                                                     \
    "INSERT INTO " table " (scope, name, since_s, by)"                         \
    " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (scope, name) DO NOTHING"

static int insert(struct store *s, const char *sql,
                  const struct store_suspension *x)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = prepare(s, sql, x->scope, x->name, &stmt);
    if (r == 0)
        r = sql_bind_i64(stmt, 3, x->since_s);
    if (r == 0)
        r = sql_bind_text(stmt, 4, x->by);
    return r ? r : sql_run(stmt);
}

int store_suspend(struct store *s, const struct store_suspension *x)
{
    return insert(s, INSERT_INTO("main.suspension"), x);
}

int store_suspend_unsaved(struct store *s, const struct store_suspension *x)
{
    return insert(s, INSERT_INTO("temp.unsaved_suspension"), x);
}

int store_suspensions_save(struct store *s)
{
    int r;

    r = sql_exec(s->db, "INSERT INTO main.suspension"
                        " SELECT scope, name, since_s, by"
                        " FROM temp.unsaved_suspension WHERE true"
                        " ON CONFLICT (scope, name) DO NOTHING");
    return r ? r : sql_exec(s->db, "DELETE FROM temp.unsaved_suspension");
}

#define DELETE_FROM(table)                                                     \
    "DELETE FROM " table " WHERE scope = ?1 AND name = ?2"

/* *deleted: how many more. */
static int delete_from(struct store *s, const char *sql, const char *scope,
                       const char *name, int *deleted)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = prepare(s, sql, scope, name, &stmt);
    if (r == 0)
        r = sql_run(stmt);
    if (r == 0)
        *deleted += sqlite3_changes(s->db);
    return r;
}

int store_resume(struct store *s, const char *scope, const char *name)
{
    int deleted = 0;
    int r;

    r = delete_from(s, DELETE_FROM("main.suspension"), scope, name, &deleted);
    if (r == 0)
        r = delete_from(s, DELETE_FROM("temp.unsaved_suspension"), scope, name,
                        &deleted);
    if (r)
        return r;
    return deleted > 0 ? 0 : STORE_E_MISSING;
}

struct suspension_array {
    struct store_suspension *items;
    size_t n;
};

static void suspension_array_deinit(struct suspension_array *x)
{
    store_suspensions_free(x->items, x->n);
}

static int read_suspension(sqlite3_stmt *stmt, struct suspension_array *all)
{
    struct store_suspension *x;
    int r;

    x = reallocarray(all->items, all->n + 1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    all->items = x;
    x += all->n++;
    *x = (struct store_suspension){ 0 };
    r = sql_text(stmt, 0, &x->scope);
    if (r == 0)
        r = sql_text(stmt, 1, &x->name);
    if (r == 0)
        r = sql_text(stmt, 3, &x->by);
    x->since_s = sqlite3_column_int64(stmt, 2);
    return r;
}

int store_suspensions(struct store *s, struct store_suspension **ret,
                      size_t *ret_n)
{
    CLEANUP(suspension_array_deinit) struct suspension_array x = { 0 };
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;
    int r;

    r = sql_prepare(s->db,
                    "SELECT scope, nullif(name, ''), since_s, by"
                    " FROM (SELECT * FROM main.suspension"
                    "  UNION SELECT * FROM temp.unsaved_suspension)"
                    " ORDER BY scope, name",
                    &stmt);
    while (r == 0) {
        r = sql_step(stmt, &row);
        if (r || !row)
            break;
        r = read_suspension(stmt, &x);
    }
    if (r)
        return r;
    *ret_n = x.n;
    *ret = TAKE_PTR(x.items);
    x.n = 0;
    return 0;
}

void store_suspensions_free(struct store_suspension *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(x[i].scope);
        free(x[i].name);
        free(x[i].by);
    }
    free(x);
}
