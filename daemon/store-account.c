/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rows of the table account and their lists. Which members are texts and which
 * are lists stands in two tables below; reading, writing, copying and freeing
 * all go by them, so that no member can be forgotten in one of the four.
 */
#include <errno.h>
#include <string.h>

#include "daemon/store-sql.h"

#define MEMBER(m) offsetof(struct store_account, m)

static const size_t texts[] = {
    MEMBER(acme.name),
    MEMBER(acme.directory_url),
    MEMBER(acme.directory.new_nonce),
    MEMBER(acme.directory.new_account),
    MEMBER(acme.directory.new_order),
    MEMBER(acme.directory.new_authz),
    MEMBER(acme.directory.revoke_cert),
    MEMBER(acme.directory.key_change),
    MEMBER(acme.directory.renewal_info),
    MEMBER(acme.account_url),
    MEMBER(status_text),
    MEMBER(token),
    MEMBER(key_label),
    MEMBER(external_account),
    MEMBER(external_account_sent),
    MEMBER(meta.terms),
    MEMBER(meta.account_hash_prefix),
    MEMBER(proof_url),
    MEMBER(proof_thumbprint),
    MEMBER(unproven_reason),
    MEMBER(unproven_text),
    MEMBER(schedule.window),
};

/* The texts above, in their order, then the rest. */
#define COLUMNS                                                                \
    "name, directory_url, new_nonce, new_account, new_order, new_authz,"       \
    " revoke_cert, key_change, renewal_info, account_url, status_text, token," \
    " key_label, external_account, external_account_sent, terms,"              \
    " account_hash_prefix, proof_url, proof_thumbprint, unproven_reason,"      \
    " unproven_text, rotate_window, status, thumbprint, key_type, key_x,"      \
    " key_y, key_n, key_e,"                                                    \
    " allow_query, allow_http_loopback, generation, key_attrs,"                \
    " key_attrs_known, created_s, registered_s, meta_known,"                   \
    " external_account_required, proof_s, unproven_s, rotate_s,"               \
    " order_drain_s, settle_s, cache_s, grace_s, keep_old, key_since_s,"       \
    " other_generation, must_ask"
#define VALUES                                                                 \
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"   \
    " ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30,"   \
    " ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44,"   \
    " ?45, ?46, ?47, ?48, ?49"

enum { /* result columns; parameters are one higher */
       COL_STATUS = ARRAY_LEN(texts),
       COL_THUMBPRINT,
       COL_KEY_TYPE,
       COL_KEY_X,
       COL_KEY_Y,
       COL_KEY_N,
       COL_KEY_E,
       COL_ALLOW_QUERY,
       COL_ALLOW_HTTP_LOOPBACK,
       COL_GENERATION,
       COL_KEY_ATTRS,
       COL_KEY_ATTRS_KNOWN,
       COL_CREATED,
       COL_REGISTERED,
       COL_META_KNOWN,
       COL_EXTERNAL_ACCOUNT_REQUIRED,
       COL_PROOF,
       COL_UNPROVEN,
       COL_ROTATE,
       COL_ORDER_DRAIN,
       COL_SETTLE,
       COL_CACHE,
       COL_GRACE,
       COL_KEEP_OLD,
       COL_KEY_SINCE,
       COL_OTHER_GENERATION,
       COL_MUST_ASK,
       COL_SUSPENDED, /* of the query only */
};

static const struct {
    const char *kind;
    size_t member;
} lists[] = {
    { "origin", MEMBER(acme.origins) },
    { "challenge-member", MEMBER(acme.challenge_members) },
    { "contact", MEMBER(contacts) },
    { "issuer", MEMBER(issuers) },
    { "meta-issuer", MEMBER(meta.issuers) },
    { "meta-caa", MEMBER(meta.caa_identities) },
    { "meta-profile", MEMBER(meta.profiles) },
};

static const char *const status_names[] = {
    [ACCOUNT_UNSET] = "unset",       [ACCOUNT_CREATED] = "created",
    [ACCOUNT_VALID] = "valid",       [ACCOUNT_DEACTIVATED] = "deactivated",
    [ACCOUNT_REVOKED] = "revoked",   [ACCOUNT_NEEDS_RESOLVE] = "needs-resolve",
    [ACCOUNT_ADOPTING] = "adopting", [ACCOUNT_RELEASED] = "released",
};

static const struct {
    const char *name;
    size_t coord; /* octets of x */
    enum jwk_type type;
    bool has_y;
} key_types[] = {
    { "ec-p256", 32, JWK_TYPE_P256, true },
    { "ec-p384", 48, JWK_TYPE_P384, true },
    { "rsa", 0, JWK_TYPE_RSA, false },
    { "ed25519", 32, JWK_TYPE_ED25519, false },
};

const char *account_status_name(enum account_status s)
{
    if ((size_t)s >= ARRAY_LEN(status_names))
        s = ACCOUNT_UNSET;
    return status_names[s];
}

enum account_status account_status_parse(const char *name)
{
    for (size_t i = 1; i < ARRAY_LEN(status_names); i++) {
        if (strcmp(name, status_names[i]) == 0)
            return (enum account_status)i;
    }
    return ACCOUNT_UNSET;
}

static char **text_at(struct store_account *a, size_t i)
{
    return (char **)((char *)a + texts[i]);
}

static char ***list_at(struct store_account *a, size_t i)
{
    return (char ***)((char *)a + lists[i].member);
}

static const char *const_text_at(const struct store_account *a, size_t i)
{
    return *(char *const *)((const char *)a + texts[i]);
}

static char *const *const_list_at(const struct store_account *a, size_t i)
{
    return *(char **const *)((const char *)a + lists[i].member);
}

static char **list_free(char **list)
{
    for (char **s = list; s && *s; s++)
        free(*s);
    free(list);
    return NULL;
}

/* Takes over @value. An empty list is NULL. */
static int list_add(char ***list, char *value)
{
    CLEANUP_FREE char *owned = value;
    size_t n = 0;
    char **more;

    while (*list && (*list)[n])
        n++;
    more = reallocarray(*list, n + 2, sizeof(*more));
    if (!more)
        return -ENOMEM;
    more[n] = TAKE_PTR(owned);
    more[n + 1] = NULL;
    *list = more;
    return 0;
}

static int list_copy(char *const *from, char ***ret)
{
    int r = 0;

    for (; r == 0 && from && *from; from++) {
        char *s = strdup(*from);

        r = s ? list_add(ret, s) : -ENOMEM;
    }
    return r;
}

void store_account_deinit(struct store_account *a)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(*text_at(a, i));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        list_free(*list_at(a, i));
    *a = (struct store_account){ 0 };
}

int store_account_copy(const struct store_account *from,
                       struct store_account *ret)
{
    CLEANUP(store_account_deinit) struct store_account a = *from;
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *text_at(&a, i) = NULL;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        *list_at(&a, i) = NULL;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *s = const_text_at(from, i);

        *text_at(&a, i) = s ? strdup(s) : NULL;
        if (s && !*text_at(&a, i))
            return -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++)
        r = list_copy(const_list_at(from, i), list_at(&a, i));
    if (r)
        return r;

    *ret = a;
    a = (struct store_account){ 0 };
    return 0;
}

/* A column that must have exactly @len octets. */
static int read_exact(sqlite3_stmt *stmt, int col, uint8_t *ret, size_t len)
{
    if ((size_t)sqlite3_column_bytes(stmt, col) != len)
        return STORE_E_CORRUPT;
    if (len > 0)
        memcpy(ret, sqlite3_column_blob(stmt, col), len);
    return 0;
}

/* A column with at least one octet and at most @max. */
static int read_upto(sqlite3_stmt *stmt, int col, uint8_t *ret, size_t max,
                     size_t *ret_len)
{
    size_t len = (size_t)sqlite3_column_bytes(stmt, col);

    if (len == 0 || len > max)
        return STORE_E_CORRUPT;
    memcpy(ret, sqlite3_column_blob(stmt, col), len);
    *ret_len = len;
    return 0;
}

static int read_key(sqlite3_stmt *stmt, struct jwk *key)
{
    const char *name = (const char *)sqlite3_column_text(stmt, COL_KEY_TYPE);
    size_t i = 0;
    int r;

    while (name && i < ARRAY_LEN(key_types) &&
           strcmp(name, key_types[i].name) != 0)
        i++;
    if (!name || i == ARRAY_LEN(key_types))
        return STORE_E_CORRUPT;

    key->type = key_types[i].type;
    if (key->type == JWK_TYPE_RSA) {
        r = read_upto(stmt, COL_KEY_N, key->n, sizeof(key->n), &key->n_len);
        if (r == 0)
            r = read_upto(stmt, COL_KEY_E, key->e, sizeof(key->e), &key->e_len);
        return r;
    }
    r = read_exact(stmt, COL_KEY_X, key->x, key_types[i].coord);
    if (r == 0 && key_types[i].has_y)
        r = read_exact(stmt, COL_KEY_Y, key->y, key_types[i].coord);
    return r;
}

static int read_lists(struct store *s, struct store_account *a)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;
    int r;

    r = sql_prepare(s->db,
                    "SELECT kind, value FROM account_list WHERE account = ?1 "
                    "ORDER BY kind, position",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, a->acme.name);
    while (r == 0) {
        const char *kind;
        char *value = NULL;
        size_t i = 0;

        r = sql_step(stmt, &row);
        if (r || !row)
            break;
        kind = (const char *)sqlite3_column_text(stmt, 0);
        while (i < ARRAY_LEN(lists) && strcmp(kind, lists[i].kind) != 0)
            i++;
        if (i == ARRAY_LEN(lists))
            return STORE_E_CORRUPT;
        r = sql_text(stmt, 1, &value);
        if (r == 0)
            r = list_add(list_at(a, i), value);
    }
    return r;
}

/* The columns that may be NULL. */
static const struct {
    int col;
    size_t member;
} seconds[] = {
    { COL_ROTATE, MEMBER(schedule.rotate) },
    { COL_ORDER_DRAIN, MEMBER(schedule.order_drain) },
    { COL_SETTLE, MEMBER(schedule.settle) },
    { COL_CACHE, MEMBER(schedule.cache) },
    { COL_GRACE, MEMBER(schedule.grace) },
};

static void read_seconds(sqlite3_stmt *stmt, struct store_account *a)
{
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
        *(struct store_seconds *)((char *)a + seconds[i].member) =
            (struct store_seconds){
                .set = sqlite3_column_type(stmt, seconds[i].col) != SQLITE_NULL,
                .s = sqlite3_column_int64(stmt, seconds[i].col),
            };
}

static int bind_seconds(sqlite3_stmt *stmt, const struct store_account *a)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(seconds); i++) {
        const struct store_seconds *x =
            (const struct store_seconds *)((const char *)a + seconds[i].member);

        if (x->set)
            r = sql_bind_i64(stmt, seconds[i].col + 1, x->s);
    }
    return r;
}

static int read_account(sqlite3_stmt *stmt, struct store_account *a)
{
    const char *status, *thumbprint;
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = sql_text(stmt, (int)i, text_at(a, i));
    if (r == 0)
        r = read_key(stmt, &a->acme.jwk);
    if (r)
        return r;

    status = (const char *)sqlite3_column_text(stmt, COL_STATUS);
    thumbprint = (const char *)sqlite3_column_text(stmt, COL_THUMBPRINT);
    if (!status || !thumbprint)
        return -ENOMEM;
    a->status = account_status_parse(status);
    if (a->status == ACCOUNT_UNSET || strlen(thumbprint) != JWK_THP_TEXT_LEN)
        return STORE_E_CORRUPT;
    memcpy(a->acme.thumbprint, thumbprint, JWK_THP_TEXT_LEN + 1);

    a->acme.valid = a->status == ACCOUNT_VALID && a->acme.account_url;
    a->acme.allow_query = sqlite3_column_int(stmt, COL_ALLOW_QUERY);
    a->acme.allow_http_loopback =
        sqlite3_column_int(stmt, COL_ALLOW_HTTP_LOOPBACK);
    a->generation = (unsigned)sqlite3_column_int64(stmt, COL_GENERATION);
    a->key_attrs = (uint32_t)sqlite3_column_int64(stmt, COL_KEY_ATTRS);
    a->key_attrs_known =
        (uint32_t)sqlite3_column_int64(stmt, COL_KEY_ATTRS_KNOWN);
    a->created_s = sqlite3_column_int64(stmt, COL_CREATED);
    a->registered_s = sqlite3_column_int64(stmt, COL_REGISTERED);
    a->meta_known = sqlite3_column_int(stmt, COL_META_KNOWN);
    a->meta.external_account_required =
        sqlite3_column_int(stmt, COL_EXTERNAL_ACCOUNT_REQUIRED);
    a->proof_s = sqlite3_column_int64(stmt, COL_PROOF);
    a->unproven_s = sqlite3_column_int64(stmt, COL_UNPROVEN);
    read_seconds(stmt, a);
    a->schedule.keep_old = sqlite3_column_int(stmt, COL_KEEP_OLD);
    a->key_since_s = sqlite3_column_int64(stmt, COL_KEY_SINCE);
    a->other_generation =
        (unsigned)sqlite3_column_int64(stmt, COL_OTHER_GENERATION);
    a->must_ask = sqlite3_column_int(stmt, COL_MUST_ASK);
    a->suspended = sqlite3_column_int(stmt, COL_SUSPENDED);
    if ((a->proof_s > 0 && (!a->proof_url || !a->proof_thumbprint)) ||
        (a->unproven_s > 0 && (!a->unproven_reason || !a->unproven_text)))
        return STORE_E_CORRUPT;
    return 0;
}

struct account_array {
    struct store_account *items;
    size_t n;
};

static void account_array_deinit(struct account_array *x)
{
    for (size_t i = 0; i < x->n; i++)
        store_account_deinit(&x->items[i]);
    free(x->items);
}

int store_accounts(struct store *s, struct store_account **ret, size_t *ret_n)
{
    CLEANUP(account_array_deinit) struct account_array x = { 0 };
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;
    int r;

    r = sql_prepare(s->db,
                    "SELECT " COLUMNS ", EXISTS (SELECT 1 FROM suspension x"
                    " WHERE x.scope = 'account' AND x.name = account.name)"
                    " FROM account ORDER BY name",
                    &stmt);
    while (r == 0) {
        struct store_account *more;

        r = sql_step(stmt, &row);
        if (r || !row)
            break;
        more = reallocarray(x.items, x.n + 1, sizeof(*more));
        if (!more)
            return -ENOMEM;
        x.items = more;
        x.items[x.n] = (struct store_account){ 0 };
        r = read_account(stmt, &x.items[x.n++]);
        if (r == 0)
            r = read_lists(s, &x.items[x.n - 1]);
    }
    if (r)
        return r;
    *ret_n = x.n;
    *ret = TAKE_PTR(x.items);
    x.n = 0;
    return 0;
}

static int bind_key(sqlite3_stmt *stmt, const struct jwk *key)
{
    const char *name = NULL;
    size_t coord = 0;
    bool has_y = false;
    int r;

    for (size_t i = 0; i < ARRAY_LEN(key_types); i++) {
        if (key_types[i].type == key->type) {
            name = key_types[i].name;
            coord = key_types[i].coord;
            has_y = key_types[i].has_y;
        }
    }
    if (!name)
        return -EINVAL;
    r = sql_bind_text(stmt, COL_KEY_TYPE + 1, name);
    if (r == 0)
        r = sql_bind_blob(stmt, COL_KEY_X + 1, (struct bytes){ key->x, coord });
    if (r == 0)
        r = sql_bind_blob(stmt, COL_KEY_Y + 1,
                          (struct bytes){ key->y, has_y ? coord : 0 });
    if (r == 0)
        r = sql_bind_blob(stmt, COL_KEY_N + 1,
                          (struct bytes){ key->n, key->n_len });
    if (r == 0)
        r = sql_bind_blob(stmt, COL_KEY_E + 1,
                          (struct bytes){ key->e, key->e_len });
    return r;
}

static int bind_account(sqlite3_stmt *stmt, const struct store_account *a)
{
    const struct {
        int col;
        int64_t value;
    } numbers[] = {
        { COL_ALLOW_QUERY, a->acme.allow_query },
        { COL_ALLOW_HTTP_LOOPBACK, a->acme.allow_http_loopback },
        { COL_GENERATION, a->generation },
        { COL_KEY_ATTRS, a->key_attrs },
        { COL_KEY_ATTRS_KNOWN, a->key_attrs_known },
        { COL_CREATED, a->created_s },
        { COL_REGISTERED, a->registered_s },
        { COL_META_KNOWN, a->meta_known },
        { COL_EXTERNAL_ACCOUNT_REQUIRED, a->meta.external_account_required },
        { COL_PROOF, a->proof_s },
        { COL_UNPROVEN, a->unproven_s },
        { COL_KEEP_OLD, a->schedule.keep_old },
        { COL_KEY_SINCE, a->key_since_s },
        { COL_OTHER_GENERATION, a->other_generation },
        { COL_MUST_ASK, a->must_ask },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = sql_bind_text(stmt, (int)i + 1, const_text_at(a, i));
    if (r == 0)
        r = sql_bind_text(stmt, COL_STATUS + 1, account_status_name(a->status));
    if (r == 0)
        r = sql_bind_text(stmt, COL_THUMBPRINT + 1, a->acme.thumbprint);
    if (r == 0)
        r = bind_key(stmt, &a->acme.jwk);
    if (r == 0)
        r = bind_seconds(stmt, a);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
        r = sql_bind_i64(stmt, numbers[i].col + 1, numbers[i].value);
    return r;
}

static int write_item(struct store *s, const char *account, const char *kind,
                      int64_t position, const char *value)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db,
                    "INSERT INTO account_list (account, kind, position, value)"
                    " VALUES (?1, ?2, ?3, ?4)",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, account);
    if (r == 0)
        r = sql_bind_text(stmt, 2, kind);
    if (r == 0)
        r = sql_bind_i64(stmt, 3, position);
    if (r == 0)
        r = sql_bind_text(stmt, 4, value);
    return r ? r : sql_run(stmt);
}

static int write_lists(struct store *s, const struct store_account *a)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db, "DELETE FROM account_list WHERE account = ?1",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, a->acme.name);
    if (r == 0)
        r = sql_run(stmt);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++) {
        char *const *list = const_list_at(a, i);

        for (int64_t p = 0; r == 0 && list && list[p]; p++)
            r = write_item(s, a->acme.name, lists[i].kind, p, list[p]);
    }
    return r;
}

static int write_account_in(struct store *s, const char *sql,
                            const struct store_account *a)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db, sql, &stmt);
    if (r == 0)
        r = bind_account(stmt, a);
    if (r == 0)
        r = sql_run(stmt);
    if (r)
        return r;
    return sqlite3_changes(s->db) == 0 ? STORE_E_MISSING : write_lists(s, a);
}

static int write_account(struct store *s, const char *sql,
                         const struct store_account *a)
{
    CLEANUP_TRANSACTION struct sql_transaction t = { 0 };
    int r;

    r = sql_begin(s->db, &t);
    if (r == 0)
        r = write_account_in(s, sql, a);
    return r ? r : sql_commit(&t);
}

#define UPDATE "UPDATE account SET (" COLUMNS ") = (" VALUES ") WHERE name = ?1"

int store_account_add(struct store *s, const struct store_account *a)
{
    return write_account(
        s, "INSERT INTO account (" COLUMNS ") VALUES (" VALUES ")", a);
}

int store_account_update(struct store *s, const struct store_account *a)
{
    return write_account(s, UPDATE, a);
}

int sql_update_account(struct store *s, const struct store_account *a)
{
    return write_account_in(s, UPDATE, a);
}
