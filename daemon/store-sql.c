/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-sql.h"

#include <errno.h>
#include <string.h>

/* The operating system's word where SQLite only says "I/O error". */
static int system_error(sqlite3 *db)
{
    int e = db ? sqlite3_system_errno(db) : 0;

    return e > 0 ? -e : -EIO;
}

int sql_result(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return STORE_E_CORRUPT;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
                       rc == SQLITE_CONSTRAINT_UNIQUE
                   ? STORE_E_EXISTS
                   : -EINVAL;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_TOOBIG:
        return -E2BIG;
    default:
        return system_error(db);
    }
}

int sql_exec(sqlite3 *db, const char *sql)
{
    return sql_result(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
    return sql_result(db, sqlite3_prepare_v2(db, sql, -1, ret, NULL));
}

int sql_step(sqlite3_stmt *stmt, bool *ret_row)
{
    int rc = sqlite3_step(stmt);

    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sql_result(sqlite3_db_handle(stmt), rc);
    *ret_row = rc == SQLITE_ROW;
    return 0;
}

int sql_run(sqlite3_stmt *stmt)
{
    bool row;

    return sql_step(stmt, &row);
}

int sql_bind_text(sqlite3_stmt *stmt, int i, const char *s)
{
    return sql_result(sqlite3_db_handle(stmt),
                      sqlite3_bind_text(stmt, i, s, -1, SQLITE_STATIC));
}

int sql_bind_i64(sqlite3_stmt *stmt, int i, int64_t v)
{
    return sql_result(sqlite3_db_handle(stmt), sqlite3_bind_int64(stmt, i, v));
}

int sql_bind_blob(sqlite3_stmt *stmt, int i, struct bytes b)
{
    sqlite3 *db = sqlite3_db_handle(stmt);

    if (b.len == 0)
        return sql_result(db, sqlite3_bind_null(stmt, i));
    return sql_result(
        db, sqlite3_bind_blob64(stmt, i, b.data, b.len, SQLITE_STATIC));
}

int sql_text(sqlite3_stmt *stmt, int i, char **ret)
{
    const char *s = (const char *)sqlite3_column_text(stmt, i);
    char *copy = NULL;

    if (!s && sqlite3_column_type(stmt, i) != SQLITE_NULL)
        return -ENOMEM;
    if (s) {
        copy = strdup(s);
        if (!copy)
            return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void sql_finalize_p(sqlite3_stmt **stmt)
{
    (void)sqlite3_finalize(*stmt);
}

int sql_begin(sqlite3 *db, struct sql_transaction *ret)
{
    int r;

    r = sql_exec(db, "BEGIN IMMEDIATE");
    if (r)
        return r;
    ret->db = db;
    return 0;
}

int sql_commit(struct sql_transaction *t)
{
    int r;

    r = sql_exec(t->db, "COMMIT");
    if (r)
        return r; /* still open: rolled back when its scope is left */
    t->db = NULL;
    return 0;
}

void sql_rollback(struct sql_transaction *t)
{
    if (t->db && !sqlite3_get_autocommit(t->db))
        (void)sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
    t->db = NULL;
}
