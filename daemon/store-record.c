/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Records are many, so they stay in the database: a page is read along an
 * index, from behind the last record of the page before.
 */
#include <errno.h>

#include "daemon/store-sql.h"

/* ---- adding and removing ---- */

/* The statements of one store_records_add(). */
struct adding {
    sqlite3_stmt *insert, *update;
};

static void adding_deinit(struct adding *a)
{
    sql_finalize_p(&a->insert);
    sql_finalize_p(&a->update);
}

static int adding_init(sqlite3 *db, struct adding *a)
{
    int r;

    r = sql_prepare(db,
                    "INSERT INTO record (account, domain, issuer, wildcard,"
                    " reusable, until_s, added_s)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                    " ON CONFLICT (account, domain, issuer) DO NOTHING",
                    &a->insert);
    if (r)
        return r;
    return sql_prepare(db,
                       "UPDATE record SET wildcard = ?4, reusable = ?5,"
                       " until_s = ?6 WHERE account = ?1 AND domain = ?2"
                       " AND issuer = ?3 AND (wildcard <> ?4 OR reusable <> ?5"
                       " OR until_s <> ?6)",
                       &a->update);
}

/* All but added_s. */
static int bind_record(sqlite3_stmt *stmt, const struct store_record *x)
{
    int r;

    r = sql_bind_text(stmt, 1, x->account);
    if (r == 0)
        r = sql_bind_text(stmt, 2, x->domain);
    if (r == 0)
        r = sql_bind_text(stmt, 3, x->issuer);
    if (r == 0)
        r = sql_bind_i64(stmt, 4, x->wildcard);
    if (r == 0)
        r = sql_bind_i64(stmt, 5, x->reusable);
    return r ? r : sql_bind_i64(stmt, 6, x->until_s);
}

static int run_again(sqlite3 *db, sqlite3_stmt *stmt, int *ret_changes)
{
    int r = sql_run(stmt);

    if (r)
        return r;
    *ret_changes = sqlite3_changes(db);
    return sql_result(db, sqlite3_reset(stmt));
}

static int add_one(sqlite3 *db, const struct adding *a,
                   const struct store_record *x,
                   struct store_record_counts *counts)
{
    int changes = 0;
    int r;

    r = bind_record(a->insert, x);
    if (r == 0)
        r = sql_bind_i64(a->insert, 7, x->added_s);
    if (r == 0)
        r = run_again(db, a->insert, &changes);
    if (r)
        return r;
    if (changes > 0) {
        counts->added++;
        return 0;
    }
    r = bind_record(a->update, x);
    if (r == 0)
        r = run_again(db, a->update, &changes);
    if (r)
        return r;
    *(changes > 0 ? &counts->changed : &counts->unchanged) += 1;
    return 0;
}

int store_records_add(struct store *s, const struct store_record *x, size_t n,
                      struct store_record_counts *ret)
{
    CLEANUP_TRANSACTION struct sql_transaction t = { 0 };
    CLEANUP(adding_deinit) struct adding a = { 0 };
    struct store_record_counts counts = { 0 };
    int r;

    r = sql_begin(s->db, &t);
    if (r == 0)
        r = adding_init(s->db, &a);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_one(s->db, &a, &x[i], &counts);
    if (r == 0)
        r = sql_commit(&t);
    if (r)
        return r;
    *ret = counts;
    return 0;
}

int store_record_same(struct store *s, const struct store_record *x, bool *ret)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db,
                    "SELECT 1 FROM record WHERE account = ?1 AND domain = ?2"
                    " AND issuer = ?3 AND wildcard = ?4 AND reusable = ?5"
                    " AND until_s = ?6",
                    &stmt);
    if (r == 0)
        r = bind_record(stmt, x);
    return r ? r : sql_step(stmt, ret);
}

int store_record_remove(struct store *s, const char *account,
                        const char *domain, const char *issuer, size_t *ret_n)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db,
                    "DELETE FROM record WHERE account = ?1 AND domain = ?2"
                    " AND (?3 IS NULL OR issuer = ?3)",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, account);
    if (r == 0)
        r = sql_bind_text(stmt, 2, domain);
    if (r == 0)
        r = sql_bind_text(stmt, 3, issuer);
    if (r == 0)
        r = sql_run(stmt);
    if (r)
        return r;
    *ret_n = (size_t)sqlite3_changes(s->db);
    return 0;
}

/* ---- asking ---- */

#define SELECT                                                                 \
    "SELECT account, domain, issuer, wildcard, reusable, until_s, added_s"     \
    " FROM record WHERE "

/* Each begins in an index at the place behind ?3 to ?5, and sorts nothing. */
static const char *record_sql(const struct store_record_query *q)
{
    if (q->account && q->domain)
        return SELECT "account = ?1 AND domain = ?2 AND issuer > ?5"
                      " ORDER BY issuer";
    if (q->account)
        return SELECT "account = ?1 AND (domain, issuer) > (?4, ?5)"
                      " ORDER BY domain, issuer";
    if (q->domain)
        return SELECT "domain = ?2 AND (account, issuer) > (?3, ?5)"
                      " ORDER BY account, issuer";
    return SELECT "(account, domain, issuer) > (?3, ?4, ?5)"
                  " ORDER BY account, domain, issuer";
}

static int bind_query(sqlite3_stmt *stmt, const struct store_record_query *q)
{
    const char *const values[] = {
        q->account,
        q->domain,
        q->after_account ? q->after_account : "",
        q->after_domain ? q->after_domain : "",
        q->after_issuer ? q->after_issuer : "",
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(values); i++)
        r = sql_bind_text(stmt, (int)i + 1, values[i]);
    return r;
}

/* Borrowed until the next step. */
static int column_text(sqlite3_stmt *stmt, int i, char **ret)
{
    union {
        const unsigned char *text;
        char *plain;
    } u = { sqlite3_column_text(stmt, i) };

    if (!u.text)
        return -ENOMEM; /* the column has no NULLs */
    *ret = u.plain;
    return 0;
}

static int read_record(sqlite3_stmt *stmt, struct store_record *x)
{
    int r;

    r = column_text(stmt, 0, &x->account);
    if (r == 0)
        r = column_text(stmt, 1, &x->domain);
    if (r == 0)
        r = column_text(stmt, 2, &x->issuer);
    x->wildcard = sqlite3_column_int(stmt, 3);
    x->reusable = sqlite3_column_int(stmt, 4);
    x->until_s = sqlite3_column_int64(stmt, 5);
    x->added_s = sqlite3_column_int64(stmt, 6);
    return r;
}

int store_record_each(struct store *s, const struct store_record_query *q,
                      store_record_fn fn, void *userdata)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;
    int r;

    r = sql_prepare(s->db, record_sql(q), &stmt);
    if (r == 0)
        r = bind_query(stmt, q);
    while (r == 0) {
        struct store_record x = { 0 };

        r = sql_step(stmt, &row);
        if (r || !row)
            break;
        r = read_record(stmt, &x);
        if (r == 0)
            r = fn(&x, userdata);
    }
    return r;
}

struct found {
    bool any, wildcard;
};

static int found_one(const struct store_record *x, void *userdata)
{
    struct found *found = userdata;

    found->any = true;
    found->wildcard = found->wildcard || x->wildcard;
    return 0;
}

int store_record_has(struct store *s, const char *account, const char *domain,
                     bool *ret, bool *ret_wildcard)
{
    const struct store_record_query q = { .account = account,
                                          .domain = domain };
    struct found found = { 0 };
    int r;

    r = store_record_each(s, &q, found_one, &found);
    if (r)
        return r;
    *ret = found.any;
    *ret_wildcard = found.wildcard;
    return 0;
}

int store_record_sums(struct store *s, const char *account, int64_t now_s,
                      struct store_record_sums *ret)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;
    int r;

    /* persistUntil itself is still good; without one until_s is 0. */
    r = sql_prepare(s->db,
                    "SELECT count(*),"
                    " count(*) FILTER (WHERE until_s > 0 AND until_s < ?2),"
                    " coalesce(min(until_s) FILTER (WHERE until_s > 0"
                    " AND until_s >= ?2), 0) FROM record WHERE account = ?1",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, account);
    if (r == 0)
        r = sql_bind_i64(stmt, 2, now_s);
    if (r == 0)
        r = sql_step(stmt, &row);
    if (r == 0 && row)
        *ret = (struct store_record_sums){
            .n = (size_t)sqlite3_column_int64(stmt, 0),
            .n_expired = (size_t)sqlite3_column_int64(stmt, 1),
            .next_s = sqlite3_column_int64(stmt, 2),
        };
    return r;
}
