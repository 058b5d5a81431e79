/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

static char *origins[] = { "https://a.example", "https://b.example", NULL };
static char *members[] = { "token", NULL };
static char *contacts[] = { "mailto:a@example.org", NULL };
static char *typed[] = { "ca.example", "b.example", NULL };
static char *issuers[] = { "ca.example", NULL };
static char *caa[] = { "ca.example", "other.example", NULL };
static char *profiles[] = { "classic", "short", NULL };

struct store_account full_account(void)
{
    struct store_account a = {
        .acme = {
            .name = "letsencrypt",
            .directory_url = "https://ca.example/directory",
            .directory = {
                .new_nonce = "https://ca.example/nonce",
                .new_account = "https://ca.example/new-account",
                .new_order = "https://ca.example/new-order",
                .new_authz = "https://ca.example/new-authz",
                .revoke_cert = "https://ca.example/revoke",
                .key_change = "https://ca.example/key-change",
                .renewal_info = "https://ca.example/ari",
            },
            .account_url = "https://ca.example/acct/1",
            .jwk = { .type = JWK_TYPE_P256 },
            .thumbprint = "0123456789012345678901234567890123456789012",
            .valid = true,
            .origins = origins,
            .challenge_members = members,
            .allow_query = true,
            .allow_http_loopback = true,
        },
        .status = ACCOUNT_VALID,
        .status_text = "as it should be",
        .token = "hsm",
        .key_label = "acme-guardian:01234567:letsencrypt:1",
        .generation = 3,
        .key_attrs = 0x2f,
        .key_attrs_known = 0xffffffff,
        .created_s = 1790000000,
        .registered_s = 1790000001,
        .contacts = contacts,
        .external_account = "kid-1",
        .external_account_sent = "kid-2",
        .meta = {
            .terms = "https://ca.example/terms",
            .external_account_required = true,
            .account_hash_prefix = "https://ca.example/h/",
            .issuers = issuers,
            .caa_identities = caa,
            .profiles = profiles,
        },
        .meta_known = true,
        .issuers = typed,
        .proof_url = "https://ca.example/acct/1",
        .proof_thumbprint = "0123456789012345678901234567890123456789012",
        .proof_s = 1790000002,
        .unproven_reason = "account-not-ours",
        .unproven_text = "the CA gave us somebody else's",
        .unproven_s = 1790000003,
        .key_since_s = 1790000004,
        .other_generation = 5,
        .must_ask = true,
        .schedule = { .rotate = { true, 7776000 },
                      .window = "Sun 02:00-04:00",
                      .order_drain = { true, 60 },
                      .settle = { true, 0 },
                      .cache = { true, 3 },
                      .grace = { true, 3600 },
                      .keep_old = true },
    };

    memset(a.acme.jwk.x, 0x11, 32);
    memset(a.acme.jwk.y, 0x22, 32);
    return a;
}

struct store_account small_account(char *name)
{
    struct store_account a = full_account();
    struct jwk key = {
        .type = JWK_TYPE_RSA, .n_len = 256, .e = { 1, 0, 1 }, .e_len = 3
    };

    memset(key.n, 0x99, 256);
    a.acme = (struct acme_account){ .name = name,
                                    .directory_url = "https://ca.example/d",
                                    .jwk = key };
    memset(a.acme.thumbprint, 'A', JWK_THP_TEXT_LEN);
    a.status = ACCOUNT_CREATED;
    a.status_text = NULL;
    a.contacts = NULL;
    a.external_account = a.external_account_sent = NULL;
    a.meta = (struct acme_meta){ 0 };
    a.meta_known = false;
    a.issuers = NULL;
    a.proof_url = a.proof_thumbprint = NULL;
    a.unproven_reason = a.unproven_text = NULL;
    a.proof_s = a.unproven_s = 0;
    a.schedule = (struct store_schedule){ 0 };
    return a;
}

static void assert_text(const char *a, const char *b)
{
    assert_string_equal(a ? a : "(null)", b ? b : "(null)");
}

static void assert_list(char *const *a, char *const *b)
{
    size_t i = 0;

    assert_int_equal(a == NULL, b == NULL);
    for (; a && a[i] && b[i]; i++)
        assert_string_equal(a[i], b[i]);
    if (a)
        assert_ptr_equal(a[i], b[i]);
}

static void assert_seconds(struct store_seconds a, struct store_seconds b)
{
    assert_int_equal(a.set, b.set);
    assert_int_equal(a.s, b.s);
}

static void assert_schedule(const struct store_schedule *a,
                            const struct store_schedule *b)
{
    assert_seconds(a->rotate, b->rotate);
    assert_text(a->window, b->window);
    assert_seconds(a->order_drain, b->order_drain);
    assert_seconds(a->settle, b->settle);
    assert_seconds(a->cache, b->cache);
    assert_seconds(a->grace, b->grace);
    assert_int_equal(a->keep_old, b->keep_old);
}

void assert_account(const struct store_account *a,
                    const struct store_account *b)
{
    assert_text(a->acme.name, b->acme.name);
    assert_text(a->acme.directory_url, b->acme.directory_url);
    assert_text(a->acme.directory.new_nonce, b->acme.directory.new_nonce);
    assert_text(a->acme.directory.new_account, b->acme.directory.new_account);
    assert_text(a->acme.directory.new_order, b->acme.directory.new_order);
    assert_text(a->acme.directory.new_authz, b->acme.directory.new_authz);
    assert_text(a->acme.directory.revoke_cert, b->acme.directory.revoke_cert);
    assert_text(a->acme.directory.key_change, b->acme.directory.key_change);
    assert_text(a->acme.directory.renewal_info, b->acme.directory.renewal_info);
    assert_text(a->acme.account_url, b->acme.account_url);
    assert_memory_equal(&a->acme.jwk, &b->acme.jwk, sizeof(a->acme.jwk));
    assert_string_equal(a->acme.thumbprint, b->acme.thumbprint);
    assert_int_equal(a->acme.valid, b->acme.valid);
    assert_list(a->acme.origins, b->acme.origins);
    assert_list(a->acme.challenge_members, b->acme.challenge_members);
    assert_int_equal(a->acme.allow_query, b->acme.allow_query);
    assert_int_equal(a->acme.allow_http_loopback, b->acme.allow_http_loopback);
    assert_int_equal(a->status, b->status);
    assert_text(a->status_text, b->status_text);
    assert_text(a->token, b->token);
    assert_text(a->key_label, b->key_label);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->key_attrs, b->key_attrs);
    assert_int_equal(a->key_attrs_known, b->key_attrs_known);
    assert_int_equal(a->created_s, b->created_s);
    assert_int_equal(a->registered_s, b->registered_s);
    assert_list(a->contacts, b->contacts);
    assert_text(a->external_account, b->external_account);
    assert_text(a->external_account_sent, b->external_account_sent);
    assert_text(a->meta.terms, b->meta.terms);
    assert_int_equal(a->meta.external_account_required,
                     b->meta.external_account_required);
    assert_text(a->meta.account_hash_prefix, b->meta.account_hash_prefix);
    assert_list(a->meta.issuers, b->meta.issuers);
    assert_list(a->meta.caa_identities, b->meta.caa_identities);
    assert_list(a->meta.profiles, b->meta.profiles);
    assert_int_equal(a->meta_known, b->meta_known);
    assert_list(a->issuers, b->issuers);
    assert_text(a->proof_url, b->proof_url);
    assert_text(a->proof_thumbprint, b->proof_thumbprint);
    assert_int_equal(a->proof_s, b->proof_s);
    assert_text(a->unproven_reason, b->unproven_reason);
    assert_text(a->unproven_text, b->unproven_text);
    assert_int_equal(a->unproven_s, b->unproven_s);
    assert_int_equal(a->key_since_s, b->key_since_s);
    assert_int_equal(a->other_generation, b->other_generation);
    assert_int_equal(a->must_ask, b->must_ask);
    assert_schedule(&a->schedule, &b->schedule);
}

struct store *open_store(struct tmp_dir *d)
{
    struct store *s = NULL;
    struct errmsg e = { 0 };
    int r = store_open(d->path, &s, &e);

    if (r)
        print_error("store_open: %d %s\n", r, e.text);
    assert_int_equal(r, 0);
    return s;
}

void accounts_free(struct store_account *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_account_deinit(&a[i]);
    free(a);
}

void assert_refused(struct tmp_dir *d, int code, const char *words)
{
    struct store *s = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(store_open(d->path, &s, &e), code);
    assert_null(s);
    if (!strstr(e.text, words))
        print_error("refused with \"%s\"\n", e.text);
    assert_non_null(strstr(e.text, words));
}

void sql(struct tmp_dir *d, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(tmp_dir_file(d, "registry.db"), &db), 0);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_close(db), 0);
}
