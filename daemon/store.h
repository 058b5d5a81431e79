/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"
#include "acme/directory-meta.h"
#include "base/errmsg.h"

/*
 * The registry: SQLite (WAL, synchronous=FULL) in STATEDIR/registry.db, under
 * an exclusive lock on the directory. Rows are facts. Each function is one
 * transaction; when it returns 0 the change is on disk.
 */

struct store;

#define STORE_E_LOCKED 1       /* another daemon holds the state directory */
#define STORE_E_NEWER_SCHEMA 2 /* made by a later version: not touched */
#define STORE_E_EXISTS 3
#define STORE_E_MISSING 4
#define STORE_E_CORRUPT 5   /* not a database, damaged, or not ours */
#define STORE_E_UNTRUSTED 6 /* others may write to the state directory */

enum account_status {
    ACCOUNT_UNSET = 0,
    ACCOUNT_CREATED, /* has a key, is not registered at the CA */
    ACCOUNT_VALID,   /* RFC 8555 section 7.1.6 */
    ACCOUNT_DEACTIVATED,
    ACCOUNT_REVOKED,
    ACCOUNT_NEEDS_RESOLVE, /* token and registry disagree: signs nothing */
    ACCOUNT_ADOPTING,      /* registered, but its key is not here yet */
    ACCOUNT_RELEASED,      /* its key is not here any more */
};
const char *account_status_name(enum account_status s); /* "needs-resolve" */
enum account_status account_status_parse(const char *name);

/* Zero: the default. */
struct store_seconds {
    bool set;
    int64_t s;
};

/* Wishes of accounts.d for the rotations of an account's key. */
struct store_schedule {
    struct store_seconds rotate; /* a new key so often; not set: never */
    char *window;                /* base/window.h; NULL: whenever */
    struct store_seconds order_drain, settle, cache, grace;
    bool keep_old;
};

struct store_account {
    struct acme_account acme; /* name, directory, URL, key, origins, ... */
    enum account_status status;
    char *status_text; /* for people; NULL: none */
    char *token;       /* [Token NAME] */
    char *key_label;
    unsigned generation;
    uint32_t key_attrs, key_attrs_known; /* enum token_attr */
    int64_t key_since_s;                 /* this key is the account's */
    /* The highest of keys on the token that are known not to be the CA's. */
    unsigned other_generation;
    /* This registry may be an old copy: the CA has to say that the key is still
     * the account's. */
    bool must_ask;
    struct store_schedule schedule;
    bool suspended; /* read only: by name; "all" and "client" are not here */
    int64_t created_s, registered_s; /* since 1970; 0: not yet */
    char **contacts;
    /* Key id of the external account binding (RFC 8555 section 7.3.4) that the
     * CA has taken, and of the one that was signed last. NULL: none. */
    char *external_account, *external_account_sent;
    struct acme_meta meta; /* what the directory says beside its endpoints */
    bool meta_known;
    char **issuers; /* typed by the operator */
    /* The account was proven then, for this URL and key; 0: it was not. */
    char *proof_url, *proof_thumbprint;
    int64_t proof_s;
    /* Why the last attempt at that failed, if it came later; 0: it did not. */
    char *unproven_reason, *unproven_text;
    int64_t unproven_s;
};

/* A dns-persist-01 record (design section 10). */
struct store_record {
    char *account, *domain, *issuer;
    bool wildcard;
    bool reusable;   /* key-bound: for all domains */
    int64_t until_s; /* since 1970; 0: none */
    int64_t added_s;
};

/*
 * A rotation of an account's key (design section 11). The row stays when the
 * rotation has ended, until the account's next one takes its place.
 */
enum rotation_state {
    ROTATION_UNSET = 0,
    ROTATION_PLANNED,
    ROTATION_KEY_GENERATED,
    ROTATION_RECORDS_PUBLISHED,
    ROTATION_RECORDS_VERIFIED,
    ROTATION_DRAINING,
    ROTATION_SWITCHING,
    ROTATION_SWITCHED,
    ROTATION_CLEANED,
    ROTATION_DONE,
    ROTATION_ABORTING,
    ROTATION_ABORTED,
    ROTATION_SWITCH_REFUSED,
    ROTATION_UNRESOLVED,
    ROTATION_ACCOUNT_LOST,
    ROTATION_STATE_COUNT
};
const char *rotation_state_name(enum rotation_state s); /* "key-generated" */

enum rotation_kind {
    ROTATION_KIND_UNSET = 0,
    ROTATION_KIND_PLANNED,
    ROTATION_KIND_COMPROMISED, /* somebody else may have the old key */
    ROTATION_KIND_MOVE,        /* to another account at the CA */
    ROTATION_KIND_RELEASE,     /* to a key that is not here */
    ROTATION_KIND_ADOPT,       /* from one */
    ROTATION_KIND_RESOLVE,     /* the token has a key that nobody knows of */
    ROTATION_KIND_COUNT
};
const char *rotation_kind_name(enum rotation_kind k); /* "planned" */

struct store_rotation {
    char *account;
    char *by; /* "uid 0" */
    /* [Token NAME]. A key outside: old_token NULL, new_token empty; its label
     * is empty. */
    char *old_token, *new_token;
    /* Keys as canonical JWK (RFC 7638), with their place on the token. */
    char *old_label, *old_jwk, *old_thumbprint;
    char *new_label;                /* chosen before the key is made */
    char *new_alg;                  /* "ES256" */
    char *new_jwk, *new_thumbprint; /* NULL: not made yet */
    /* Account URLs: the same, but for ROTATION_KIND_MOVE. NULL: as the
     * account's (old), not registered yet (new). */
    char *old_url, *new_url;
    /* The last keyChange request that was given out. NULL: none. */
    char *request_url, *request_nonce;
    char *request_protected, *request_payload, *request_signature;
    char *reason, *text; /* of a refusal or an abort; NULL: none */
    enum rotation_state state;
    enum rotation_kind kind;
    unsigned new_rsa_bits; /* 0: not RSA */
    bool new_foreign;      /* somebody else made the new key and named it */
    bool weaker_ok;        /* the token may prove less of the new key */
    bool old_lost;         /* the old key does not open the account */
    int64_t started_s, since_s; /* since 1970; since: in this state */
    int64_t window_end_s;       /* not switched after it; 0: whenever */
    bool keep_old;
    int64_t grace_s, order_drain_s, settle_s, cache_s;
    unsigned old_generation, new_generation;
    uint32_t new_attrs, new_attrs_known; /* enum token_attr */
    bool key_bound; /* the account's records name its key */
    /* The records of the new key: published; on every server, and until when
     * caches may lack them; those of the old key: gone. 0: not yet. */
    int64_t published_s, verified_s, caches_s, old_records_removed_s;
    int64_t sent_s; /* the request; 0: none is out */
    unsigned tries;
    bool spent;                /* the CA takes its nonce from nobody any more */
    int64_t confirmed_s;       /* the new key answered everywhere; 0: not yet */
    int64_t old_deactivated_s; /* move: the old account at the CA; 0: not yet */
};

struct store_denied {
    char *name;
    int64_t since_s;
    char *by; /* "uid 0" */
};

struct store_suspension {
    char *scope; /* "all", "account", "client" */
    char *name;  /* NULL for "all" */
    int64_t since_s;
    char *by; /* "uid 0" */
};

/**
 * store_open() - lock the directory, open or create
 *
 * The state directory is made if it is missing. An older schema is migrated in
 * one transaction, and what was there is kept beside it as
 * registry.db.schema-N; a newer one is refused, nothing changed. In a file that
 * was copied here accounts become must_ask (store-place.h). Anything but 0
 * comes with *reterr.
 *
 * Return: 0; STORE_E_LOCKED, _NEWER_SCHEMA, _CORRUPT, _UNTRUSTED; negative
 * errno.
 */
int store_open(const char *state_dir, struct store **ret,
               struct errmsg *reterr) MUST_CHECK;
struct store *store_close(struct store *s);
DEFINE_CLEANUP(struct store *, store_close)
#define CLEANUP_STORE CLEANUP(store_close_p)

/* store_instance() - 8 random hex digits, made with the registry; part of every
 * key label. */
const char *store_instance(const struct store *s);

/*
 * store_accounts() - all by name, as an array of *ret_n owned by the caller.
 * acme.valid follows from the status, acme.rotating is false. That thumbprint
 * and key belong together is for the caller to check. STORE_E_CORRUPT.
 */
int store_accounts(struct store *s, struct store_account **ret,
                   size_t *ret_n) MUST_CHECK;
/* store_account_add() - STORE_E_EXISTS; -EINVAL for a row that cannot be. */
int store_account_add(struct store *s,
                      const struct store_account *a) MUST_CHECK;
/* store_account_update() - all columns but the name. STORE_E_MISSING. */
int store_account_update(struct store *s,
                         const struct store_account *a) MUST_CHECK;
void store_account_deinit(struct store_account *a);
int store_account_copy(const struct store_account *from,
                       struct store_account *ret) MUST_CHECK;

/* store_image() - the registry's file as it would be written now, without its
 * WAL; store_image_free(). */
int store_image(struct store *s, uint8_t **ret, size_t *ret_len) MUST_CHECK;
void store_image_free(uint8_t *image);

/* store_suspend() - what is suspended already stays as it is. */
int store_suspend(struct store *s, const struct store_suspension *x) MUST_CHECK;
int store_resume(struct store *s, const char *scope,
                 const char *name) MUST_CHECK; /* STORE_E_MISSING */
int store_suspensions(struct store *s, struct store_suspension **ret,
                      size_t *ret_n) MUST_CHECK;
void store_suspensions_free(struct store_suspension *x, size_t n);

/* store_suspend_unsaved() - in memory, among store_suspensions() until it is
 * closed: where the registry cannot be written. */
int store_suspend_unsaved(struct store *s,
                          const struct store_suspension *x) MUST_CHECK;
/* store_suspensions_save() - these, now that it can. */
int store_suspensions_save(struct store *s) MUST_CHECK;

/*
 * store_records_add() - all of @x or none. One that is there (same account,
 * domain, issuer) gets the other members of @x, but keeps added_s.
 *
 * Return: 0 with what became of them; -EINVAL: no such account, or a row that
 * cannot be; negative errno.
 */
struct store_record_counts {
    size_t added, changed, unchanged;
};
int store_records_add(struct store *s, const struct store_record *x, size_t n,
                      struct store_record_counts *ret) MUST_CHECK;
/* store_record_remove() - @issuer NULL: of all issuers. 0 is no error. */
int store_record_remove(struct store *s, const char *account,
                        const char *domain, const char *issuer,
                        size_t *ret_n) MUST_CHECK;
/* store_record_same() - it is there, and with these very facts. */
int store_record_same(struct store *s, const struct store_record *x,
                      bool *ret) MUST_CHECK;
/* store_record_has() - any for this account and domain; @ret_wildcard: one that
 * is wildcard. */
int store_record_has(struct store *s, const char *account, const char *domain,
                     bool *ret, bool *ret_wildcard) MUST_CHECK;

/* store_record_sums() - of an account's records, at @now_s. */
struct store_record_sums {
    size_t n, n_expired;
    int64_t
        next_s; /* the soonest persistUntil that is still to come; 0: none */
};
int store_record_sums(struct store *s, const char *account, int64_t now_s,
                      struct store_record_sums *ret) MUST_CHECK;

/*
 * store_record_each() - in the order of account, domain, issuer
 *
 * Begins behind the record that @q->after_... name; costs nothing for those
 * before. Stops at the first nonzero of @fn, which is then returned. The
 * strings of a record are valid during the call only; @fn changes nothing here.
 */
struct store_record_query {
    const char *account, *domain;                            /* NULL: all */
    const char *after_account, *after_domain, *after_issuer; /* or all NULL */
};
typedef int (*store_record_fn)(const struct store_record *record,
                               void *userdata);
int store_record_each(struct store *s, const struct store_record_query *q,
                      store_record_fn fn, void *userdata) MUST_CHECK;

/*
 * store_rotation_put() - the account's one rotation becomes @x; and, in the
 * same transaction, the account's row becomes @account, unless that is NULL.
 *
 * Return: 0; STORE_E_MISSING: no such account; -EINVAL for a row that cannot
 * be; negative errno.
 */
int store_rotation_put(struct store *s, const struct store_rotation *x,
                       const struct store_account *account) MUST_CHECK;
/* store_rotation_begin() - one that is planned, and without the zones that were
 * accepted for the last one; in one transaction. */
int store_rotation_begin(struct store *s,
                         const struct store_rotation *x) MUST_CHECK;
/* store_rotations() - all by account. STORE_E_CORRUPT. */
int store_rotations(struct store *s, struct store_rotation **ret,
                    size_t *ret_n) MUST_CHECK;
void store_rotation_deinit(struct store_rotation *x);
int store_rotation_copy(const struct store_rotation *from,
                        struct store_rotation *ret) MUST_CHECK;

/*
 * Zones of which a person has said that a rotation need not have seen the
 * records on their servers. What is there already stays as it is.
 */
struct store_rotation_zone {
    char *account, *zone;
    int64_t accepted_s;
    char *by; /* "uid 0" */
};
int store_rotation_zone_accept(struct store *s,
                               const struct store_rotation_zone *x) MUST_CHECK;
/* store_rotation_zone_each() - by name; stops at the first nonzero of @fn,
 * which is then returned. */
typedef int (*store_rotation_zone_fn)(const char *zone, void *userdata);
int store_rotation_zone_each(struct store *s, const char *account,
                             store_rotation_zone_fn fn,
                             void *userdata) MUST_CHECK;

/* store_deny() - what is denied already stays as it is. */
int store_deny(struct store *s, const struct store_denied *x) MUST_CHECK;
int store_allow(struct store *s,
                const char *name) MUST_CHECK; /* STORE_E_MISSING */
int store_denied(struct store *s, struct store_denied **ret,
                 size_t *ret_n) MUST_CHECK; /* by name */
void store_denied_free(struct store_denied *x, size_t n);
