/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The schema is made in steps, one for each version: a new registry takes them
 * all, an older one those that it lacks, so both end the same. A step that was
 * released is never changed.
 */
#include "daemon/store-schema.h"

#include <stdio.h>

#include <sodium.h>

#include "base/registry-file.h"
#include "daemon/store-sql.h"

static const char schema_1[] =
    "CREATE TABLE meta ("
    " name TEXT PRIMARY KEY,"
    " value TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE account ("
    " name TEXT PRIMARY KEY CHECK (name <> ''),"
    " directory_url TEXT NOT NULL,"
    " new_nonce TEXT,"
    " new_account TEXT,"
    " new_order TEXT,"
    " new_authz TEXT,"
    " revoke_cert TEXT,"
    " key_change TEXT,"
    " renewal_info TEXT,"
    " account_url TEXT,"
    " status_text TEXT,"
    " token TEXT NOT NULL,"
    " key_label TEXT NOT NULL,"
    " status TEXT NOT NULL CHECK (status IN ('created', 'valid',"
    "  'deactivated', 'revoked', 'needs-resolve')),"
    " thumbprint TEXT NOT NULL,"
    " key_type TEXT NOT NULL CHECK (key_type IN ('ec-p256', 'ec-p384', 'rsa',"
    "  'ed25519')),"
    " key_x BLOB,"
    " key_y BLOB,"
    " key_n BLOB,"
    " key_e BLOB,"
    " allow_query INTEGER NOT NULL CHECK (allow_query IN (0, 1)),"
    " allow_http_loopback INTEGER NOT NULL"
    "  CHECK (allow_http_loopback IN (0, 1)),"
    " generation INTEGER NOT NULL CHECK (generation >= 0),"
    " key_attrs INTEGER NOT NULL,"
    " key_attrs_known INTEGER NOT NULL,"
    " created_s INTEGER NOT NULL,"
    " registered_s INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE account_list ("
    " account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,"
    " kind TEXT NOT NULL"
    "  CHECK (kind IN ('origin', 'challenge-member', 'contact')),"
    " position INTEGER NOT NULL,"
    " value TEXT NOT NULL,"
    " PRIMARY KEY (account, kind, position)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE suspension ("
    " scope TEXT NOT NULL CHECK (scope IN ('all', 'account', 'client')),"
    " name TEXT NOT NULL,"
    " since_s INTEGER NOT NULL,"
    " by TEXT NOT NULL,"
    " PRIMARY KEY (scope, name),"
    " CHECK ((scope = 'all') = (name = ''))"
    ") STRICT, WITHOUT ROWID;";

/* The facts of an account that records need, records, rotations, and denied
 * names. */
static const char schema_2[] =
    "ALTER TABLE account ADD COLUMN external_account TEXT;"
    "ALTER TABLE account ADD COLUMN external_account_sent TEXT;"
    "ALTER TABLE account ADD COLUMN terms TEXT;"
    "ALTER TABLE account ADD COLUMN account_hash_prefix TEXT;"
    "ALTER TABLE account ADD COLUMN proof_url TEXT;"
    "ALTER TABLE account ADD COLUMN proof_thumbprint TEXT;"
    "ALTER TABLE account ADD COLUMN unproven_reason TEXT;"
    "ALTER TABLE account ADD COLUMN unproven_text TEXT;"
    "ALTER TABLE account ADD COLUMN meta_known INTEGER NOT NULL DEFAULT 0"
    " CHECK (meta_known IN (0, 1));"
    "ALTER TABLE account ADD COLUMN external_account_required INTEGER NOT NULL"
    " DEFAULT 0 CHECK (external_account_required IN (0, 1));"
    "ALTER TABLE account ADD COLUMN proof_s INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE account ADD COLUMN unproven_s INTEGER NOT NULL DEFAULT 0;"

    /* Only a new table can have another CHECK. */
    "CREATE TABLE account_list_2 ("
    " account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,"
    " kind TEXT NOT NULL"
    "  CHECK (kind IN ('origin', 'challenge-member', 'contact', 'issuer',"
    "  'meta-issuer', 'meta-caa', 'meta-profile')),"
    " position INTEGER NOT NULL,"
    " value TEXT NOT NULL,"
    " PRIMARY KEY (account, kind, position)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO account_list_2 (account, kind, position, value)"
    " SELECT account, kind, position, value FROM account_list;"
    "DROP TABLE account_list;"
    "ALTER TABLE account_list_2 RENAME TO account_list;"

    "CREATE TABLE record ("
    " account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,"
    " domain TEXT NOT NULL CHECK (domain <> ''),"
    " issuer TEXT NOT NULL CHECK (issuer <> ''),"
    " wildcard INTEGER NOT NULL CHECK (wildcard IN (0, 1)),"
    " reusable INTEGER NOT NULL CHECK (reusable IN (0, 1)),"
    " until_s INTEGER NOT NULL CHECK (until_s >= 0),"
    " added_s INTEGER NOT NULL,"
    " PRIMARY KEY (account, domain, issuer)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX record_domain ON record (domain, account, issuer);"

    "CREATE TABLE rotation ("
    " account TEXT PRIMARY KEY REFERENCES account (name) ON DELETE CASCADE,"
    " by TEXT NOT NULL,"
    " old_label TEXT NOT NULL,"
    " old_jwk TEXT NOT NULL,"
    " old_thumbprint TEXT NOT NULL,"
    " new_label TEXT NOT NULL CHECK (new_label <> old_label),"
    " new_jwk TEXT CHECK (new_jwk <> old_jwk),"
    " new_thumbprint TEXT,"
    " request_url TEXT,"
    " request_nonce TEXT,"
    " request_protected TEXT,"
    " request_payload TEXT,"
    " request_signature TEXT,"
    " reason TEXT,"
    " text TEXT,"
    " state TEXT NOT NULL CHECK (state IN ('planned', 'key-generated',"
    "  'draining', 'switching', 'switched', 'cleaned', 'done', 'aborting',"
    "  'aborted', 'switch-refused', 'unresolved', 'account-lost')),"
    " started_s INTEGER NOT NULL,"
    " since_s INTEGER NOT NULL,"
    " keep_old INTEGER NOT NULL CHECK (keep_old IN (0, 1)),"
    " grace_s INTEGER NOT NULL CHECK (grace_s >= 0),"
    " order_drain_s INTEGER NOT NULL CHECK (order_drain_s >= 0),"
    " settle_s INTEGER NOT NULL CHECK (settle_s >= 0),"
    " cache_s INTEGER NOT NULL CHECK (cache_s >= 0),"
    " old_generation INTEGER NOT NULL CHECK (old_generation >= 0),"
    " new_generation INTEGER NOT NULL CHECK (new_generation > old_generation),"
    " new_attrs INTEGER NOT NULL,"
    " new_attrs_known INTEGER NOT NULL,"
    " sent_s INTEGER NOT NULL CHECK (sent_s >= 0),"
    " tries INTEGER NOT NULL CHECK (tries >= 0),"
    " spent INTEGER NOT NULL CHECK (spent IN (0, 1)),"
    " confirmed_s INTEGER NOT NULL CHECK (confirmed_s >= 0),"
    " CHECK ((new_jwk IS NULL) = (new_thumbprint IS NULL)),"
    " CHECK (new_jwk IS NOT NULL OR state IN ('planned', 'aborting',"
    "  'aborted')),"
    " CHECK (sent_s = 0 OR (request_url IS NOT NULL AND request_nonce IS NOT"
    "  NULL AND request_protected IS NOT NULL AND request_payload IS NOT NULL"
    "  AND request_signature IS NOT NULL))"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE denied ("
    " name TEXT PRIMARY KEY CHECK (name <> ''),"
    " since_s INTEGER NOT NULL,"
    " by TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;";

/* Rotations with records, of other kinds, to other tokens; accounts whose key
 * is not here yet, or not any more. Only a new table can have another CHECK. */
static const char schema_3[] =
    "CREATE TABLE account_3 ("
    " name TEXT PRIMARY KEY CHECK (name <> ''),"
    " directory_url TEXT NOT NULL,"
    " new_nonce TEXT,"
    " new_account TEXT,"
    " new_order TEXT,"
    " new_authz TEXT,"
    " revoke_cert TEXT,"
    " key_change TEXT,"
    " renewal_info TEXT,"
    " account_url TEXT,"
    " status_text TEXT,"
    " token TEXT NOT NULL,"
    " key_label TEXT NOT NULL,"
    " status TEXT NOT NULL CHECK (status IN ('created', 'valid',"
    "  'deactivated', 'revoked', 'needs-resolve', 'adopting', 'released')),"
    " thumbprint TEXT NOT NULL,"
    " key_type TEXT NOT NULL CHECK (key_type IN ('ec-p256', 'ec-p384', 'rsa',"
    "  'ed25519')),"
    " key_x BLOB,"
    " key_y BLOB,"
    " key_n BLOB,"
    " key_e BLOB,"
    " allow_query INTEGER NOT NULL CHECK (allow_query IN (0, 1)),"
    " allow_http_loopback INTEGER NOT NULL"
    "  CHECK (allow_http_loopback IN (0, 1)),"
    " generation INTEGER NOT NULL CHECK (generation >= 0),"
    " key_attrs INTEGER NOT NULL,"
    " key_attrs_known INTEGER NOT NULL,"
    " created_s INTEGER NOT NULL,"
    " registered_s INTEGER NOT NULL,"
    " external_account TEXT,"
    " external_account_sent TEXT,"
    " terms TEXT,"
    " account_hash_prefix TEXT,"
    " proof_url TEXT,"
    " proof_thumbprint TEXT,"
    " unproven_reason TEXT,"
    " unproven_text TEXT,"
    " meta_known INTEGER NOT NULL DEFAULT 0 CHECK (meta_known IN (0, 1)),"
    " external_account_required INTEGER NOT NULL DEFAULT 0"
    "  CHECK (external_account_required IN (0, 1)),"
    " proof_s INTEGER NOT NULL DEFAULT 0,"
    " unproven_s INTEGER NOT NULL DEFAULT 0"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO account_3 SELECT * FROM account;"
    "DROP TABLE account;"
    "ALTER TABLE account_3 RENAME TO account;"

    "CREATE TABLE rotation_3 ("
    " account TEXT PRIMARY KEY REFERENCES account (name) ON DELETE CASCADE,"
    " kind TEXT NOT NULL CHECK (kind IN ('planned', 'compromised', 'move',"
    "  'release', 'adopt', 'resolve')),"
    " by TEXT NOT NULL,"
    " old_token TEXT," /* NULL: the key is outside, and so is its label */
    " new_token TEXT NOT NULL,"
    " old_label TEXT NOT NULL,"
    " old_jwk TEXT NOT NULL,"
    " old_thumbprint TEXT NOT NULL,"
    " new_label TEXT NOT NULL,"
    " new_alg TEXT NOT NULL CHECK (new_alg IN ('ES256', 'ES384', 'RS256',"
    "  'EdDSA')),"
    " new_rsa_bits INTEGER NOT NULL CHECK (new_rsa_bits >= 0),"
    " new_jwk TEXT CHECK (new_jwk <> old_jwk),"
    " new_thumbprint TEXT,"
    " new_foreign INTEGER NOT NULL CHECK (new_foreign IN (0, 1)),"
    " weaker_ok INTEGER NOT NULL CHECK (weaker_ok IN (0, 1)),"
    " old_lost INTEGER NOT NULL CHECK (old_lost IN (0, 1)),"
    " old_url TEXT,"
    " new_url TEXT,"
    " request_url TEXT,"
    " request_nonce TEXT,"
    " request_protected TEXT,"
    " request_payload TEXT,"
    " request_signature TEXT,"
    " reason TEXT,"
    " text TEXT,"
    " state TEXT NOT NULL CHECK (state IN ('planned', 'key-generated',"
    "  'records-published', 'records-verified', 'draining', 'switching',"
    "  'switched', 'cleaned', 'done', 'aborting', 'aborted',"
    "  'switch-refused', 'unresolved', 'account-lost')),"
    " started_s INTEGER NOT NULL,"
    " since_s INTEGER NOT NULL,"
    " window_end_s INTEGER NOT NULL CHECK (window_end_s >= 0),"
    " keep_old INTEGER NOT NULL CHECK (keep_old IN (0, 1)),"
    " grace_s INTEGER NOT NULL CHECK (grace_s >= 0),"
    " order_drain_s INTEGER NOT NULL CHECK (order_drain_s >= 0),"
    " settle_s INTEGER NOT NULL CHECK (settle_s >= 0),"
    " cache_s INTEGER NOT NULL CHECK (cache_s >= 0),"
    " old_generation INTEGER NOT NULL CHECK (old_generation >= 0),"
    " new_generation INTEGER NOT NULL CHECK (new_generation > old_generation),"
    " new_attrs INTEGER NOT NULL,"
    " new_attrs_known INTEGER NOT NULL,"
    " key_bound INTEGER NOT NULL CHECK (key_bound IN (0, 1)),"
    " published_s INTEGER NOT NULL CHECK (published_s >= 0),"
    " verified_s INTEGER NOT NULL CHECK (verified_s >= 0),"
    " caches_s INTEGER NOT NULL CHECK (caches_s >= 0),"
    " old_records_removed_s INTEGER NOT NULL"
    "  CHECK (old_records_removed_s >= 0),"
    " sent_s INTEGER NOT NULL CHECK (sent_s >= 0),"
    " tries INTEGER NOT NULL CHECK (tries >= 0),"
    " spent INTEGER NOT NULL CHECK (spent IN (0, 1)),"
    " confirmed_s INTEGER NOT NULL CHECK (confirmed_s >= 0),"
    " CHECK (new_label <> old_label OR new_token <> old_token),"
    " CHECK ((old_token IS NULL) >= (kind = 'adopt')),"
    " CHECK (old_token IS NOT NULL OR kind IN ('adopt', 'move')),"
    " CHECK ((new_token = '') = (kind = 'release')),"
    " CHECK (new_url IS NULL OR kind = 'move'),"
    " CHECK ((new_jwk IS NULL) = (new_thumbprint IS NULL)),"
    " CHECK (new_jwk IS NOT NULL OR state IN ('planned', 'aborting',"
    "  'aborted', 'account-lost')),"
    " CHECK (key_bound OR state NOT IN ('records-published',"
    "  'records-verified')),"
    " CHECK (sent_s = 0 OR (request_url IS NOT NULL AND request_nonce IS NOT"
    "  NULL AND request_protected IS NOT NULL AND request_payload IS NOT NULL"
    "  AND request_signature IS NOT NULL))"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO rotation_3 (account, kind, by, old_token, new_token,"
    "  old_label, old_jwk, old_thumbprint, new_label, new_alg, new_rsa_bits,"
    "  new_jwk, new_thumbprint, new_foreign, weaker_ok, old_lost, old_url,"
    "  new_url, request_url, request_nonce,"
    "  request_protected, request_payload, request_signature, reason, text,"
    "  state, started_s, since_s, window_end_s, keep_old, grace_s,"
    "  order_drain_s, settle_s, cache_s, old_generation, new_generation,"
    "  new_attrs, new_attrs_known, key_bound, published_s, verified_s,"
    "  caches_s, old_records_removed_s, sent_s, tries, spent, confirmed_s)"
    " SELECT account, 'planned', by, token, token, old_label, old_jwk,"
    "  old_thumbprint, new_label,"
    "  CASE key_type WHEN 'ec-p256' THEN 'ES256' WHEN 'ec-p384' THEN 'ES384'"
    "   WHEN 'rsa' THEN 'RS256' ELSE 'EdDSA' END,"
    "  CASE key_type WHEN 'rsa' THEN 8 * length(key_n) ELSE 0 END,"
    "  new_jwk, new_thumbprint, 0, 0, 0, NULL, NULL, request_url, "
    "request_nonce,"
    "  request_protected, request_payload, request_signature, reason, text,"
    "  state, started_s, since_s, 0, keep_old, grace_s, order_drain_s,"
    "  settle_s, cache_s, old_generation, new_generation, new_attrs,"
    "  new_attrs_known, 0, 0, 0, 0, 0, sent_s, tries, spent, confirmed_s"
    " FROM rotation JOIN account ON name = account;"
    "DROP TABLE rotation;"
    "ALTER TABLE rotation_3 RENAME TO rotation;"

    /* What a person takes upon himself: --accept-unverified. */
    "CREATE TABLE rotation_zone ("
    " account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,"
    " zone TEXT NOT NULL CHECK (zone <> ''),"
    " accepted_s INTEGER NOT NULL,"
    " by TEXT NOT NULL,"
    " PRIMARY KEY (account, zone)"
    ") STRICT, WITHOUT ROWID;"

    /* How an account's key is rotated; NULL: the default. */
    "ALTER TABLE account ADD COLUMN rotate_window TEXT;"
    "ALTER TABLE account ADD COLUMN rotate_s INTEGER CHECK (rotate_s > 0);"
    "ALTER TABLE account ADD COLUMN order_drain_s INTEGER"
    " CHECK (order_drain_s >= 0);"
    "ALTER TABLE account ADD COLUMN settle_s INTEGER CHECK (settle_s >= 0);"
    "ALTER TABLE account ADD COLUMN cache_s INTEGER CHECK (cache_s >= 0);"
    "ALTER TABLE account ADD COLUMN grace_s INTEGER CHECK (grace_s >= 0);"
    "ALTER TABLE account ADD COLUMN keep_old INTEGER NOT NULL DEFAULT 0"
    " CHECK (keep_old IN (0, 1));"
    "ALTER TABLE account ADD COLUMN key_since_s INTEGER NOT NULL DEFAULT 0;"
    "UPDATE account SET key_since_s = max(created_s, coalesce((SELECT"
    " confirmed_s FROM rotation WHERE rotation.account = name AND"
    " new_label = key_label), 0));"
    /* Keys on the token that are known not to be the account's. */
    "ALTER TABLE account ADD COLUMN other_generation INTEGER NOT NULL DEFAULT 0"
    " CHECK (other_generation >= 0);"
    "ALTER TABLE account ADD COLUMN must_ask INTEGER NOT NULL DEFAULT 0"
    " CHECK (must_ask IN (0, 1));";

/* Once its key is destroyed nobody can ask the CA any more. */
static const char schema_4[] =
    "ALTER TABLE rotation ADD COLUMN old_deactivated_s INTEGER NOT NULL"
    " DEFAULT 0 CHECK (old_deactivated_s >= 0);";

static const char *const steps[] = { schema_1, schema_2, schema_3, schema_4 };

_Static_assert(ARRAY_LEN(steps) == REGISTRY_SCHEMA, "a step for each version");

static int number_of(sqlite3 *db, const char *sql, int64_t *ret)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row;
    int r;

    r = sql_prepare(db, sql, &stmt);
    if (r == 0)
        r = sql_step(stmt, &row);
    if (r)
        return r;
    *ret = row ? sqlite3_column_int64(stmt, 0) : 0;
    return 0;
}

static int damaged(const char *file, const char *what, struct errmsg *reterr)
{
    errmsg_set_at(reterr, file, 0,
                  "%s: nothing was changed; restore it from a backup", what);
    return STORE_E_CORRUPT;
}

/* Pages that do not fit together are better noticed before they are used. */
static int check_pages(sqlite3 *db, const char *file, struct errmsg *reterr)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    CLEANUP_FREE char *answer = NULL;
    bool row = false;
    int r;

    r = sql_prepare(db, "PRAGMA quick_check(1)", &stmt);
    if (r == 0)
        r = sql_step(stmt, &row);
    if (r == 0 && row)
        r = sql_text(stmt, 0, &answer);
    if (r < 0)
        return r;
    if (r == 0 && bytes_eq_str(bytes_from_str(answer), "ok"))
        return 0;
    return damaged(file, "the database is damaged", reterr);
}

int schema_check(sqlite3 *db, const char *file, unsigned *ret_version,
                 struct errmsg *reterr)
{
    int64_t application = 0, version = 0, tables = 0;
    int r;

    r = number_of(db, "PRAGMA application_id", &application);
    if (r == 0)
        r = number_of(db, "PRAGMA user_version", &version);
    if (r == 0)
        r = number_of(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (r)
        return r;

    if (application == 0 && version == 0 && tables == 0) {
        *ret_version = 0;
        return 0;
    }
    if (application != REGISTRY_APPLICATION_ID || version < 1)
        return damaged(file, "is no registry of acme-guardian", reterr);
    if (version > REGISTRY_SCHEMA) {
        errmsg_set_at(reterr, file, 0,
                      "has schema %lld, made by a later version of "
                      "acme-guardian; this one knows up to %d: nothing was "
                      "changed",
                      (long long)version, REGISTRY_SCHEMA);
        return STORE_E_NEWER_SCHEMA;
    }
    r = check_pages(db, file, reterr);
    if (r == 0)
        *ret_version = (unsigned)version;
    return r;
}

static int create_instance(sqlite3 *db)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    char hex[9];
    uint8_t id[4];
    int r;

    randombytes_buf(id, sizeof(id));
    (void)sodium_bin2hex(hex, sizeof(hex), id, sizeof(id));
    r = sql_prepare(
        db, "INSERT INTO meta (name, value) VALUES ('instance', ?1)", &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, hex);
    if (r == 0)
        r = sql_run(stmt);
    return r;
}

/* All in one transaction: the registry is of the old version or of the new. The
 * words are those of the step that failed, not of what undid it. Rows that name
 * an account stay while its table is made anew: foreign keys are off. */
static int take_steps(sqlite3 *db, unsigned from, struct errmsg *reterr)
{
    CLEANUP_TRANSACTION struct sql_transaction t = { 0 };
    char marks[96];
    int r;

    (void)snprintf(marks, sizeof(marks),
                   "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   REGISTRY_APPLICATION_ID, REGISTRY_SCHEMA);
    r = sql_exec(db, "PRAGMA foreign_keys = OFF");
    if (r == 0)
        r = sql_begin(db, &t);
    for (unsigned i = from; r == 0 && i < REGISTRY_SCHEMA; i++)
        r = sql_exec(db, steps[i]);
    if (r == 0 && from == 0)
        r = create_instance(db);
    if (r == 0)
        r = sql_exec(db, marks);
    if (r == 0)
        r = sql_commit(&t);
    if (r)
        errmsg_set(reterr, "%s", sqlite3_errmsg(db));
    return r ? r : sql_exec(db, "PRAGMA foreign_keys = ON");
}

int schema_create(sqlite3 *db)
{
    return take_steps(db, 0, NULL);
}

int schema_migrate(sqlite3 *db, const char *file, unsigned from,
                   struct errmsg *reterr)
{
    struct errmsg why = { 0 };
    int r = take_steps(db, from, &why);

    if (r)
        errmsg_set_at(reterr, file, 0,
                      "has schema %u and cannot be brought to schema %d (%s): "
                      "nothing was changed",
                      from, REGISTRY_SCHEMA, why.text);
    return r;
}
