/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rows of the table rotation. As in store-account.c, the members stand in two
 * tables, which reading, writing, copying and freeing all go by.
 */
#include <errno.h>
#include <string.h>

#include "daemon/store-mark.h"
#include "daemon/store-sql.h"

#define MEMBER(m) offsetof(struct store_rotation, m)

static const size_t texts[] = {
    MEMBER(account),         MEMBER(by),
    MEMBER(old_token),       MEMBER(new_token),
    MEMBER(old_label),       MEMBER(old_jwk),
    MEMBER(old_thumbprint),  MEMBER(new_label),
    MEMBER(new_alg),         MEMBER(new_jwk),
    MEMBER(new_thumbprint),  MEMBER(request_url),
    MEMBER(request_nonce),   MEMBER(request_protected),
    MEMBER(request_payload), MEMBER(request_signature),
    MEMBER(reason),          MEMBER(text),
    MEMBER(old_url),         MEMBER(new_url),
};

/* The texts above, in their order, then the rest. */
#define COLUMNS                                                                \
    "account, by, old_token, new_token, old_label, old_jwk,"                   \
    " old_thumbprint, new_label, new_alg, new_jwk, new_thumbprint, "           \
    "request_url,"                                                             \
    " request_nonce, request_protected, request_payload,"                      \
    " request_signature, reason, text, old_url, new_url, state, kind,"         \
    " new_rsa_bits, new_foreign, weaker_ok, old_lost, started_s, since_s, "    \
    "window_end_s,"                                                            \
    " keep_old, grace_s, order_drain_s, settle_s, cache_s,"                    \
    " old_generation, new_generation, new_attrs, new_attrs_known,"             \
    " key_bound, published_s, verified_s, caches_s,"                           \
    " old_records_removed_s, sent_s, tries, spent, confirmed_s,"               \
    " old_deactivated_s"
#define VALUES                                                                 \
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"        \
    " ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28,"        \
    " ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41,"        \
    " ?42, ?43, ?44, ?45, ?46, ?47, ?48"

enum { /* result columns; parameters are one higher */
       COL_STATE = ARRAY_LEN(texts),
       COL_KIND,
       COL_NEW_RSA_BITS,
       COL_NEW_FOREIGN,
       COL_WEAKER_OK,
       COL_OLD_LOST,
       COL_STARTED,
       COL_SINCE,
       COL_WINDOW_END,
       COL_KEEP_OLD,
       COL_GRACE,
       COL_ORDER_DRAIN,
       COL_SETTLE,
       COL_CACHE,
       COL_OLD_GENERATION,
       COL_NEW_GENERATION,
       COL_NEW_ATTRS,
       COL_NEW_ATTRS_KNOWN,
       COL_KEY_BOUND,
       COL_PUBLISHED,
       COL_VERIFIED,
       COL_CACHES,
       COL_OLD_RECORDS_REMOVED,
       COL_SENT,
       COL_TRIES,
       COL_SPENT,
       COL_CONFIRMED,
       COL_OLD_DEACTIVATED,
};

static const char *const state_names[] = {
    [ROTATION_UNSET] = "unset",
    [ROTATION_PLANNED] = "planned",
    [ROTATION_KEY_GENERATED] = "key-generated",
    [ROTATION_RECORDS_PUBLISHED] = "records-published",
    [ROTATION_RECORDS_VERIFIED] = "records-verified",
    [ROTATION_DRAINING] = "draining",
    [ROTATION_SWITCHING] = "switching",
    [ROTATION_SWITCHED] = "switched",
    [ROTATION_CLEANED] = "cleaned",
    [ROTATION_DONE] = "done",
    [ROTATION_ABORTING] = "aborting",
    [ROTATION_ABORTED] = "aborted",
    [ROTATION_SWITCH_REFUSED] = "switch-refused",
    [ROTATION_UNRESOLVED] = "unresolved",
    [ROTATION_ACCOUNT_LOST] = "account-lost",
};

_Static_assert(ARRAY_LEN(state_names) == ROTATION_STATE_COUNT,
               "a name for each state");

const char *rotation_state_name(enum rotation_state s)
{
    if ((size_t)s >= ARRAY_LEN(state_names))
        s = ROTATION_UNSET;
    return state_names[s];
}

static enum rotation_state state_parse(const char *name)
{
    for (size_t i = 1; name && i < ARRAY_LEN(state_names); i++) {
        if (strcmp(name, state_names[i]) == 0)
            return (enum rotation_state)i;
    }
    return ROTATION_UNSET;
}

static const char *const kind_names[] = {
    [ROTATION_KIND_UNSET] = "unset",
    [ROTATION_KIND_PLANNED] = "planned",
    [ROTATION_KIND_COMPROMISED] = "compromised",
    [ROTATION_KIND_MOVE] = "move",
    [ROTATION_KIND_RELEASE] = "release",
    [ROTATION_KIND_ADOPT] = "adopt",
    [ROTATION_KIND_RESOLVE] = "resolve",
};

_Static_assert(ARRAY_LEN(kind_names) == ROTATION_KIND_COUNT,
               "a name for each kind");

const char *rotation_kind_name(enum rotation_kind k)
{
    if ((size_t)k >= ARRAY_LEN(kind_names))
        k = ROTATION_KIND_UNSET;
    return kind_names[k];
}

static enum rotation_kind kind_parse(const char *name)
{
    for (size_t i = 1; name && i < ARRAY_LEN(kind_names); i++) {
        if (strcmp(name, kind_names[i]) == 0)
            return (enum rotation_kind)i;
    }
    return ROTATION_KIND_UNSET;
}

static char **text_at(struct store_rotation *x, size_t i)
{
    return (char **)((char *)x + texts[i]);
}

static const char *const_text_at(const struct store_rotation *x, size_t i)
{
    return *(char *const *)((const char *)x + texts[i]);
}

void store_rotation_deinit(struct store_rotation *x)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(*text_at(x, i));
    *x = (struct store_rotation){ 0 };
}

int store_rotation_copy(const struct store_rotation *from,
                        struct store_rotation *ret)
{
    CLEANUP(store_rotation_deinit) struct store_rotation x = *from;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *text_at(&x, i) = NULL;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *s = const_text_at(from, i);

        *text_at(&x, i) = s ? strdup(s) : NULL;
        if (s && !*text_at(&x, i))
            return -ENOMEM;
    }
    *ret = x;
    x = (struct store_rotation){ 0 };
    return 0;
}

static int bind_rotation(sqlite3_stmt *stmt, const struct store_rotation *x)
{
    const struct {
        int col;
        int64_t value;
    } numbers[] = {
        { COL_NEW_RSA_BITS, x->new_rsa_bits },
        { COL_NEW_FOREIGN, x->new_foreign },
        { COL_WEAKER_OK, x->weaker_ok },
        { COL_OLD_LOST, x->old_lost },
        { COL_STARTED, x->started_s },
        { COL_SINCE, x->since_s },
        { COL_WINDOW_END, x->window_end_s },
        { COL_KEEP_OLD, x->keep_old },
        { COL_GRACE, x->grace_s },
        { COL_ORDER_DRAIN, x->order_drain_s },
        { COL_SETTLE, x->settle_s },
        { COL_CACHE, x->cache_s },
        { COL_OLD_GENERATION, x->old_generation },
        { COL_NEW_GENERATION, x->new_generation },
        { COL_NEW_ATTRS, x->new_attrs },
        { COL_NEW_ATTRS_KNOWN, x->new_attrs_known },
        { COL_KEY_BOUND, x->key_bound },
        { COL_PUBLISHED, x->published_s },
        { COL_VERIFIED, x->verified_s },
        { COL_CACHES, x->caches_s },
        { COL_OLD_RECORDS_REMOVED, x->old_records_removed_s },
        { COL_SENT, x->sent_s },
        { COL_TRIES, x->tries },
        { COL_SPENT, x->spent },
        { COL_CONFIRMED, x->confirmed_s },
        { COL_OLD_DEACTIVATED, x->old_deactivated_s },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = sql_bind_text(stmt, (int)i + 1, const_text_at(x, i));
    if (r == 0)
        r = sql_bind_text(stmt, COL_STATE + 1, rotation_state_name(x->state));
    if (r == 0)
        r = sql_bind_text(stmt, COL_KIND + 1, rotation_kind_name(x->kind));
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
        r = sql_bind_i64(stmt, numbers[i].col + 1, numbers[i].value);
    return r;
}

static int put_row(struct store *s, const struct store_rotation *x)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db,
                    "INSERT OR REPLACE INTO rotation (" COLUMNS
                    ") VALUES (" VALUES ")",
                    &stmt);
    if (r == 0)
        r = bind_rotation(stmt, x);
    return r ? r : sql_run(stmt);
}

int store_rotation_put(struct store *s, const struct store_rotation *x,
                       const struct store_account *account)
{
    CLEANUP_TRANSACTION struct sql_transaction t = { 0 };
    int r;

    r = sql_begin(s->db, &t);
    if (r == 0)
        r = put_row(s, x);
    if (r == 0 && account)
        r = sql_update_account(s, account);
    if (r == 0)
        r = store_mark_put(s);
    if (r == 0)
        r = sql_commit(&t);
    if (r == 0)
        s->mark.meta =
            s->mark.file > s->mark.meta ? s->mark.file : s->mark.meta;
    return r;
}

int store_rotation_begin(struct store *s, const struct store_rotation *x)
{
    CLEANUP_TRANSACTION struct sql_transaction t = { 0 };
    int r;

    r = sql_begin(s->db, &t);
    if (r == 0)
        r = sql_rotation_zones_clear(s, x->account);
    if (r == 0)
        r = put_row(s, x);
    return r ? r : sql_commit(&t);
}

static const char *word_at(sqlite3_stmt *stmt, int column)
{
    const char *word = (const char *)sqlite3_column_text(stmt, column);

    return word ? word : "";
}

static void read_numbers(sqlite3_stmt *stmt, struct store_rotation *x)
{
    x->new_rsa_bits = (unsigned)sqlite3_column_int64(stmt, COL_NEW_RSA_BITS);
    x->new_foreign = sqlite3_column_int(stmt, COL_NEW_FOREIGN);
    x->weaker_ok = sqlite3_column_int(stmt, COL_WEAKER_OK);
    x->old_lost = sqlite3_column_int(stmt, COL_OLD_LOST);
    x->started_s = sqlite3_column_int64(stmt, COL_STARTED);
    x->since_s = sqlite3_column_int64(stmt, COL_SINCE);
    x->window_end_s = sqlite3_column_int64(stmt, COL_WINDOW_END);
    x->keep_old = sqlite3_column_int(stmt, COL_KEEP_OLD);
    x->grace_s = sqlite3_column_int64(stmt, COL_GRACE);
    x->order_drain_s = sqlite3_column_int64(stmt, COL_ORDER_DRAIN);
    x->settle_s = sqlite3_column_int64(stmt, COL_SETTLE);
    x->cache_s = sqlite3_column_int64(stmt, COL_CACHE);
    x->old_generation =
        (unsigned)sqlite3_column_int64(stmt, COL_OLD_GENERATION);
    x->new_generation =
        (unsigned)sqlite3_column_int64(stmt, COL_NEW_GENERATION);
    x->new_attrs = (uint32_t)sqlite3_column_int64(stmt, COL_NEW_ATTRS);
    x->new_attrs_known =
        (uint32_t)sqlite3_column_int64(stmt, COL_NEW_ATTRS_KNOWN);
    x->key_bound = sqlite3_column_int(stmt, COL_KEY_BOUND);
    x->published_s = sqlite3_column_int64(stmt, COL_PUBLISHED);
    x->verified_s = sqlite3_column_int64(stmt, COL_VERIFIED);
    x->caches_s = sqlite3_column_int64(stmt, COL_CACHES);
    x->old_records_removed_s =
        sqlite3_column_int64(stmt, COL_OLD_RECORDS_REMOVED);
    x->sent_s = sqlite3_column_int64(stmt, COL_SENT);
    x->tries = (unsigned)sqlite3_column_int64(stmt, COL_TRIES);
    x->spent = sqlite3_column_int(stmt, COL_SPENT);
    x->confirmed_s = sqlite3_column_int64(stmt, COL_CONFIRMED);
    x->old_deactivated_s = sqlite3_column_int64(stmt, COL_OLD_DEACTIVATED);
}

static int read_rotation(sqlite3_stmt *stmt, struct store_rotation *x)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = sql_text(stmt, (int)i, text_at(x, i));
    if (r)
        return r;
    x->state = state_parse(word_at(stmt, COL_STATE));
    x->kind = kind_parse(word_at(stmt, COL_KIND));
    if (x->state == ROTATION_UNSET || x->kind == ROTATION_KIND_UNSET)
        return STORE_E_CORRUPT;
    read_numbers(stmt, x);
    return 0;
}

struct rotation_array {
    struct store_rotation *items;
    size_t n;
};

static void rotation_array_deinit(struct rotation_array *a)
{
    for (size_t i = 0; i < a->n; i++)
        store_rotation_deinit(&a->items[i]);
    free(a->items);
}

int store_rotations(struct store *s, struct store_rotation **ret, size_t *ret_n)
{
    CLEANUP(rotation_array_deinit) struct rotation_array a = { 0 };
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = true;
    int r;

    r = sql_prepare(s->db, "SELECT " COLUMNS " FROM rotation ORDER BY account",
                    &stmt);
    while (r == 0) {
        struct store_rotation *more;

        r = sql_step(stmt, &row);
        if (r || !row)
            break;
        more = reallocarray(a.items, a.n + 1, sizeof(*more));
        if (!more)
            return -ENOMEM;
        a.items = more;
        a.items[a.n] = (struct store_rotation){ 0 };
        r = read_rotation(stmt, &a.items[a.n++]);
    }
    if (r)
        return r;
    *ret_n = a.n;
    *ret = TAKE_PTR(a.items);
    a.n = 0;
    return 0;
}
