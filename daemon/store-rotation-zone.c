/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "base/array.h"
#include "daemon/store-sql.h"

int store_rotation_zone_accept(struct store *s,
                               const struct store_rotation_zone *x)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db,
                    "INSERT INTO rotation_zone (account, zone, accepted_s, by)"
                    " VALUES (?1, ?2, ?3, ?4)"
                    " ON CONFLICT (account, zone) DO NOTHING",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, x->account);
    if (r == 0)
        r = sql_bind_text(stmt, 2, x->zone);
    if (r == 0)
        r = sql_bind_i64(stmt, 3, x->accepted_s);
    if (r == 0)
        r = sql_bind_text(stmt, 4, x->by);
    return r ? r : sql_run(stmt);
}

int sql_rotation_zones_clear(struct store *s, const char *account)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db, "DELETE FROM rotation_zone WHERE account = ?1",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, account);
    return r ? r : sql_run(stmt);
}

int store_rotation_zone_each(struct store *s, const char *account,
                             store_rotation_zone_fn fn, void *userdata)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;
    int r;

    r = sql_prepare(
        s->db, "SELECT zone FROM rotation_zone WHERE account = ?1 ORDER BY 1",
        &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, account);
    while (r == 0) {
        r = sql_step(stmt, &row);
        if (r || !row)
            break;
        r = fn((const char *)sqlite3_column_text(stmt, 0), userdata);
    }
    return r;
}
