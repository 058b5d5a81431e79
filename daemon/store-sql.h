/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include <sqlite3.h>

#include "daemon/store.h"

/*
 * SQLite for the store's own files: its result codes become ours here and
 * nowhere else.
 */

/* store-mark.h. 0: no number. */
struct store_mark {
    int dir_fd, fd; /* -1: there is none */
    uint64_t file, meta;
};
void store_mark_deinit(struct store_mark *m);

struct store {
    sqlite3 *db;
    int lock_fd;
    char instance[9];
    struct store_mark mark;
};

/* sql_result() - 0; STORE_E_CORRUPT, STORE_E_EXISTS; negative errno. */
int sql_result(sqlite3 *db, int rc) MUST_CHECK;

int sql_exec(sqlite3 *db, const char *sql) MUST_CHECK;
int sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret) MUST_CHECK;

/* sql_step() - for queries. Return: 0 with *ret_row; as sql_result(). */
int sql_step(sqlite3_stmt *stmt, bool *ret_row) MUST_CHECK;

/* sql_run() - for statements without rows. */
int sql_run(sqlite3_stmt *stmt) MUST_CHECK;

/* NULL and the empty string are told apart: NULL is SQL's NULL. */
int sql_bind_text(sqlite3_stmt *stmt, int i, const char *s) MUST_CHECK;
int sql_bind_i64(sqlite3_stmt *stmt, int i, int64_t v) MUST_CHECK;
int sql_bind_blob(sqlite3_stmt *stmt, int i, struct bytes b) MUST_CHECK;

/* sql_text() - a copy; *ret is NULL for SQL's NULL. Return: 0, -ENOMEM. */
int sql_text(sqlite3_stmt *stmt, int i, char **ret) MUST_CHECK;

void sql_finalize_p(sqlite3_stmt **stmt);
#define CLEANUP_STMT CLEANUP(sql_finalize_p)

/*
 * A transaction: begun, then either committed or, when its scope is left
 * without that, rolled back.
 */
struct sql_transaction {
    sqlite3 *db; /* NULL: none open */
};
int sql_begin(sqlite3 *db, struct sql_transaction *ret) MUST_CHECK;
int sql_commit(struct sql_transaction *t) MUST_CHECK;
void sql_rollback(struct sql_transaction *t);
#define CLEANUP_TRANSACTION CLEANUP(sql_rollback)

/* sql_rotation_zones_clear() - what was accepted for the last rotation is not
 * for the next one; within its transaction. */
int sql_rotation_zones_clear(struct store *s, const char *account) MUST_CHECK;

/* sql_update_account() - store_account_update() within a transaction. */
int sql_update_account(struct store *s,
                       const struct store_account *a) MUST_CHECK;
