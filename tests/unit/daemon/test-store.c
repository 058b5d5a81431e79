/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "daemon/store-mark.h"
#include "tmp-dir.h"

static char *origins[] = { "https://a.example", "https://b.example", NULL };
static char *members[] = { "token", NULL };
static char *contacts[] = { "mailto:a@example.org", NULL };
static char *typed[] = { "ca.example", "b.example", NULL };
static char *issuers[] = { "ca.example", NULL };
static char *caa[] = { "ca.example", "other.example", NULL };
static char *profiles[] = { "classic", "short", NULL };

/* Every member set, each to something of its own. */
static struct store_account full_account(void)
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

static struct store_account small_account(char *name)
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

static void assert_account(const struct store_account *a,
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

static struct store *open_store(struct tmp_dir *d)
{
    struct store *s = NULL;
    struct errmsg e = { 0 };
    int r = store_open(d->path, &s, &e);

    if (r)
        print_error("store_open: %d %s\n", r, e.text);
    assert_int_equal(r, 0);
    return s;
}

static void accounts_free(struct store_account *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_account_deinit(&a[i]);
    free(a);
}

static void assert_refused(struct tmp_dir *d, int code, const char *words)
{
    struct store *s = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(store_open(d->path, &s, &e), code);
    assert_null(s);
    if (!strstr(e.text, words))
        print_error("wanted \"%s\" in \"%s\"\n", words, e.text);
    assert_non_null(strstr(e.text, words));
}

static void test_account_survives_a_restart_whole(void **state)
{
    struct store_account a = full_account(), b = small_account("other");
    struct store *s = open_store(*state);
    struct store_account *got;
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &b), 0);
    store_close(s);

    s = open_store(*state);
    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_int_equal(n, 2);
    assert_account(&got[0], &a);
    assert_account(&got[1], &b);
    accounts_free(got, n);
    store_close(s);
}

static void test_every_key_type_is_kept(void **state)
{
    const enum jwk_type types[] = { JWK_TYPE_P256, JWK_TYPE_P384,
                                    JWK_TYPE_ED25519 };
    struct store *s = open_store(*state);
    struct store_account *got;
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char name[] = { (char)('a' + (char)i), 0 };
        struct store_account a = small_account(name);

        a.acme.jwk = (struct jwk){ .type = types[i] };
        memset(a.acme.jwk.x, 7, types[i] == JWK_TYPE_P384 ? 48 : 32);
        if (types[i] != JWK_TYPE_ED25519)
            memset(a.acme.jwk.y, 8, types[i] == JWK_TYPE_P384 ? 48 : 32);
        assert_int_equal(store_account_add(s, &a), 0);
        assert_int_equal(store_accounts(s, &got, &n), 0);
        assert_int_equal(n, i + 1);
        assert_account(&got[i], &a);
        accounts_free(got, n);
    }
    store_close(s);
}

static void test_update_replaces_all_columns(void **state)
{
    struct store_account a = small_account("letsencrypt"), b = full_account();
    struct store *s = open_store(*state);
    struct store_account *got;
    size_t n;

    assert_int_equal(store_account_add(s, &b), 0);
    assert_int_equal(store_account_update(s, &a), 0);
    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_int_equal(n, 1);
    assert_account(&got[0], &a);
    accounts_free(got, n);

    assert_int_equal(store_account_update(s, &b), 0);
    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_account(&got[0], &b);
    accounts_free(got, n);
    store_close(s);
}

static void test_names_are_taken_once_and_must_exist(void **state)
{
    struct store_account a = full_account(), b = small_account("b");
    struct store *s = open_store(*state);

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &a), STORE_E_EXISTS);
    assert_int_equal(store_account_update(s, &b), STORE_E_MISSING);
    b.status = ACCOUNT_UNSET;
    assert_int_equal(store_account_add(s, &b), -EINVAL);
    b = small_account("b");
    b.acme.jwk.type = JWK_TYPE_UNSET;
    assert_int_equal(store_account_add(s, &b), -EINVAL);
    b = small_account("b");
    b.token = NULL;
    assert_int_equal(store_account_add(s, &b), -EINVAL);

    /* None of the failures has left a transaction open. */
    b = small_account("b");
    assert_int_equal(store_account_add(s, &b), 0);
    store_close(s);
}

static void test_copy_shares_nothing(void **state)
{
    struct store_account a = full_account(), b;

    (void)state;
    assert_int_equal(store_account_copy(&a, &b), 0);
    assert_account(&a, &b);
    assert_ptr_not_equal(a.acme.name, b.acme.name);
    assert_ptr_not_equal(a.contacts, b.contacts);
    store_account_deinit(&b);
    assert_null(b.acme.name);
}

static void test_status_names_go_both_ways(void **state)
{
    (void)state;
    for (int i = ACCOUNT_CREATED; i <= ACCOUNT_NEEDS_RESOLVE; i++) {
        const char *name = account_status_name((enum account_status)i);

        assert_int_equal(account_status_parse(name), i);
    }
    assert_string_equal(account_status_name(ACCOUNT_NEEDS_RESOLVE),
                        "needs-resolve");
    assert_int_equal(account_status_parse("unset"), ACCOUNT_UNSET);
    assert_int_equal(account_status_parse("Valid"), ACCOUNT_UNSET);
}

static void test_suspensions_survive_until_resumed(void **state)
{
    const struct store_suspension all = { "all", NULL, 17, "uid 0" };
    const struct store_suspension one = { "account", "letsencrypt", 18,
                                          "uid 1" };
    const struct store_suspension again = { "account", "letsencrypt", 99,
                                            "uid 2" };
    struct store_account a = full_account(), b = small_account("b");
    struct store *s = open_store(*state);
    struct store_suspension *got;
    struct store_account *accounts;
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &b), 0);
    assert_int_equal(store_suspend(s, &all), 0);
    assert_int_equal(store_suspend(s, &one), 0);
    assert_int_equal(store_suspend(s, &again), 0);
    store_close(s);

    s = open_store(*state);
    assert_int_equal(store_suspensions(s, &got, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(got[0].scope, "account");
    assert_string_equal(got[0].name, "letsencrypt");
    assert_int_equal(got[0].since_s, 18);
    assert_string_equal(got[0].by, "uid 1");
    assert_string_equal(got[1].scope, "all");
    assert_null(got[1].name);
    store_suspensions_free(got, n);

    assert_int_equal(store_accounts(s, &accounts, &n), 0);
    assert_true(accounts[1].suspended);
    assert_false(accounts[0].suspended);
    accounts_free(accounts, n);

    assert_int_equal(store_resume(s, "account", "letsencrypt"), 0);
    assert_int_equal(store_resume(s, "account", "letsencrypt"),
                     STORE_E_MISSING);
    assert_int_equal(store_resume(s, "all", NULL), 0);
    assert_int_equal(store_suspensions(s, &got, &n), 0);
    assert_int_equal(n, 0);
    store_suspensions_free(got, n);
    store_close(s);
}

static void test_suspension_scopes_are_closed(void **state)
{
    const struct store_suspension bad[] = {
        { "everything", NULL, 1, "uid 0" },
        { "all", "letsencrypt", 1, "uid 0" },
        { "account", NULL, 1, "uid 0" },
    };
    struct store *s = open_store(*state);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(store_suspend(s, &bad[i]), -EINVAL);
    store_close(s);
}

static void test_instance_is_made_once(void **state)
{
    struct store *s = open_store(*state);
    char first[9];

    assert_int_equal(strlen(store_instance(s)), 8);
    assert_int_equal(strspn(store_instance(s), "0123456789abcdef"), 8);
    memcpy(first, store_instance(s), 9);
    store_close(s);
    s = open_store(*state);
    assert_string_equal(store_instance(s), first);
    store_close(s);
}

static void test_second_opener_is_told_who_holds_it(void **state)
{
    struct store *s = open_store(*state);
    char words[32];

    (void)snprintf(words, sizeof(words), "pid %d", (int)getpid());
    assert_refused(*state, STORE_E_LOCKED, words);
    store_close(s);
    store_close(open_store(*state));
}

static void test_files_are_for_the_owner_alone(void **state)
{
    const char *names[] = { "registry.db", "registry.db-wal", "lock" };
    mode_t before = umask(0);
    struct store *s = open_store(*state);

    (void)umask(before);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stat st;

        assert_int_equal(stat(tmp_dir_file(*state, names[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    store_close(s);
}

static void test_directory_others_can_write_is_refused(void **state)
{
    struct tmp_dir *d = *state;

    assert_int_equal(chmod(d->path, 0770), 0);
    assert_refused(d, STORE_E_UNTRUSTED, "mode 0770");
    assert_int_equal(chmod(d->path, 0702), 0);
    assert_refused(d, STORE_E_UNTRUSTED, "mode 0702");
    assert_int_equal(chmod(d->path, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(d->path, 4711, -1), 0);
        assert_refused(d, STORE_E_UNTRUSTED, "uid 4711");
        assert_int_equal(chown(d->path, 0, -1), 0);
    }
    store_close(open_store(d));
}

static void sql(struct tmp_dir *d, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(tmp_dir_file(d, "registry.db"), &db), 0);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_close(db), 0);
}

static void slurp(struct tmp_dir *d, struct buf *b)
{
    int fd = open(tmp_dir_file(d, "registry.db"), O_RDONLY);
    uint8_t block[4096];
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, block, sizeof(block))) > 0)
        assert_int_equal(buf_append(b, block, (size_t)n), 0);
    assert_int_equal(n, 0);
    close(fd);
}

static void test_newer_schema_is_left_untouched(void **state)
{
    struct buf before = { 0 }, after = { 0 };

    store_close(open_store(*state));
    sql(*state, "PRAGMA user_version = 4; CREATE TABLE later (x TEXT)");
    slurp(*state, &before);
    assert_refused(*state, STORE_E_NEWER_SCHEMA, "schema 4");
    slurp(*state, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buf_deinit(&before);
    buf_deinit(&after);
}

static void test_newer_schema_in_a_wal_is_left_there(void **state)
{
    struct tmp_dir *d = *state;
    struct buf before = { 0 }, after = { 0 };
    sqlite3 *db;

    store_close(open_store(d));
    assert_int_equal(sqlite3_open(tmp_dir_file(d, "registry.db"), &db), 0);
    assert_int_equal(
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), 0);
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA user_version = 4", NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_close(db), 0);
    slurp(d, &before);
    assert_refused(d, STORE_E_NEWER_SCHEMA, "schema 4");
    slurp(d, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    assert_int_equal(access(tmp_dir_file(d, "registry.db-wal"), F_OK), 0);
    buf_deinit(&before);
    buf_deinit(&after);
}

static void test_somebody_elses_database_is_refused(void **state)
{
    sql(*state, "CREATE TABLE songs (title TEXT)");
    assert_refused(*state, STORE_E_CORRUPT, "no registry of acme-guardian");
}

static void test_file_that_is_no_database_is_refused(void **state)
{
    FILE *f = fopen(tmp_dir_file(*state, "registry.db"), "w");

    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        (void)fputs("once upon a time ", f);
    assert_int_equal(fclose(f), 0);
    assert_refused(*state, STORE_E_CORRUPT, "not a database");
}

static void test_damaged_pages_are_noticed_at_open(void **state)
{
    struct store_account a = full_account();
    struct store *s = open_store(*state);
    uint8_t junk[512];
    int fd;

    assert_int_equal(store_account_add(s, &a), 0);
    store_close(s);
    memset(junk, 0xa5, sizeof(junk));
    fd = open(tmp_dir_file(*state, "registry.db"), O_RDWR);
    for (off_t page = 1; page < 5; page++)
        assert_int_equal(pwrite(fd, junk, sizeof(junk), page * 4096),
                         sizeof(junk));
    close(fd);
    assert_refused(*state, STORE_E_CORRUPT, "damaged");
}

static void test_row_with_a_cut_key_is_corrupt(void **state)
{
    struct store_account a = full_account();
    struct store_account *got = NULL;
    struct store *s = open_store(*state);
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    store_close(s);
    sql(*state, "UPDATE account SET key_x = x'11'");
    s = open_store(*state);
    assert_int_equal(store_accounts(s, &got, &n), STORE_E_CORRUPT);
    assert_null(got);
    store_close(s);
}

static void test_half_a_proof_is_corrupt(void **state)
{
    static const char *const halves[] = {
        "UPDATE account SET proof_url = NULL",
        "UPDATE account SET proof_url = 'u', proof_thumbprint = NULL",
        "UPDATE account SET proof_thumbprint = 't', unproven_reason = NULL",
        "UPDATE account SET unproven_reason = 'r', unproven_text = NULL",
    };
    struct store_account a = full_account();
    struct store_account *got = NULL;
    struct store *s = open_store(*state);
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        store_close(s);
        sql(*state, halves[i]);
        s = open_store(*state);
        assert_int_equal(store_accounts(s, &got, &n), STORE_E_CORRUPT);
        assert_null(got);
    }
    store_close(s);
}

/* A file size limit is what a full disk looks like without being root. */
static void test_full_disk_loses_nothing(void **state)
{
    struct store_account a = full_account();
    struct store *s = open_store(*state);
    struct store_account *got;
    size_t n;
    int status;
    pid_t pid;

    assert_int_equal(store_account_add(s, &a), 0);
    store_close(s);
    pid = fork();
    if (pid == 0) {
        const struct rlimit small = { 40960, 40960 };
        struct store_account b = small_account("b");
        static char text[200000];
        int r;

        memset(text, 'x', sizeof(text) - 1);
        b.status_text = text;
        s = open_store(*state);
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &small);
        r = store_account_add(s, &b);
        if (r >= 0)
            _exit(1);
        b.status_text = NULL;
        b.acme.name = "c";
        _exit(store_account_add(s, &b) == 0 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);

    s = open_store(*state);
    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_int_equal(n, 2);
    assert_account(&got[1], &a);
    assert_string_equal(got[0].acme.name, "c");
    accounts_free(got, n);
    store_close(s);
}

static void test_missing_parent_is_named(void **state)
{
    struct store *s = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(store_open(tmp_dir_file(*state, "a/b"), &s, &e), -ENOENT);
    assert_string_equal(e.file, tmp_dir_file(*state, "a/b"));
}

/* As cp(1) does, or whoever restores a backup. */
static void copy_registry(struct tmp_dir *d)
{
    struct buf bytes = { 0 };
    char from[128], to[128], block[4096];
    size_t n;
    FILE *f;

    (void)snprintf(from, sizeof(from), "%s/registry.db", d->path);
    (void)snprintf(to, sizeof(to), "%s/copy", d->path);
    f = fopen(from, "rb");
    assert_non_null(f);
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        assert_int_equal(buf_append(&bytes, block, n), 0);
    assert_int_equal(fclose(f), 0);
    f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(to, from), 0);
    buf_deinit(&bytes);
}

/* Whether "a", which is registered, must ask; "b", which is not, never must. */
static bool must_ask(struct tmp_dir *d)
{
    struct store_account *got;
    struct store *s = open_store(d);
    size_t n;
    bool must;

    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_int_equal(n, 2);
    must = got[0].must_ask;
    assert_false(got[1].must_ask);
    accounts_free(got, n);
    store_close(s);
    return must;
}

static void test_a_copied_registry_has_to_ask(void **state)
{
    char a_name[] = "a", b_name[] = "b";
    struct store_account a = full_account(), b = small_account(b_name);
    struct tmp_dir *d = *state;
    struct store *s = open_store(d);

    a.acme.name = a_name;
    a.must_ask = b.must_ask = false;
    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &b), 0);
    store_close(s);
    assert_false(must_ask(d));
    copy_registry(d);
    assert_true(must_ask(d));
    assert_true(must_ask(d)); /* until somebody has */
    s = open_store(d);
    assert_int_equal(store_account_update(s, &a), 0);
    store_close(s);
    assert_false(must_ask(d));
}

static void test_a_restore_that_was_interrupted(void **state)
{
    struct tmp_dir *d = *state;
    struct store *s = NULL;
    struct errmsg e = { 0 };
    int fd;

    fd = open(tmp_dir_file(d, "registry.db.before-20260101T000000Z"),
              O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(store_open(d->path, &s, &e), STORE_E_MISSING);
    assert_non_null(strstr(e.text, "registry.db.before-20260101T000000Z"));
    assert_int_equal(access(tmp_dir_file(d, "registry.db"), F_OK), -1);
}

/* ---- the mark beside the log ---- */

static bool fits(struct store *s, struct tmp_dir *d)
{
    struct errmsg e = { 0 };
    bool fits = false;

    assert_int_equal(store_mark_open(s, d->path, &fits, &e), 0);
    return fits;
}

static void retire(struct store *s)
{
    struct store_rotation x = {
        .account = "letsencrypt",
        .by = "uid 0",
        .old_label = "label:1",
        .old_jwk = "{1}",
        .old_thumbprint = "one",
        .new_label = "label:2",
        .old_token = "hsm",
        .new_token = "hsm",
        .state = ROTATION_PLANNED,
        .kind = ROTATION_KIND_PLANNED,
        .new_alg = "ES256",
        .old_generation = 1,
        .new_generation = 2,
    };

    assert_int_equal(store_mark_advance(s), 0);
    assert_int_equal(store_rotation_put(s, &x, NULL), 0);
}

static struct store *opened(struct tmp_dir *d, bool want)
{
    struct store *s = open_store(d);

    assert_int_equal(fits(s, d), want);
    return s;
}

static void write_mark(struct tmp_dir *d, const char *text)
{
    FILE *f = fopen(tmp_dir_file(d, STORE_MARK_FILE), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_a_mark_tells_an_old_registry(void **state)
{
    struct tmp_dir *d = *state;
    struct store_account a = full_account();
    struct store *s = opened(d, true);
    char text[64];

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_mark_settle(s), 0);
    assert_int_equal(access(tmp_dir_file(d, STORE_MARK_FILE), F_OK), -1);
    retire(s);
    retire(s);
    store_close(s);
    s = opened(d, true); /* the same number in both */

    /* Ended between the two: a question too many, until it is settled. */
    assert_int_equal(store_mark_advance(s), 0);
    store_close(s);
    s = opened(d, false);
    store_close(s);
    s = opened(d, false);
    assert_int_equal(store_mark_settle(s), 0);
    store_close(s);
    s = opened(d, true);

    /* The log is older: that is nothing against the registry. */
    (void)snprintf(text, sizeof(text), "%s %020d\n", store_instance(s), 1);
    write_mark(d, text);
    assert_true(fits(s, d));
    assert_int_equal(store_mark_settle(s), 0);
    retire(s);
    assert_true(fits(s, d));
    (void)snprintf(text, sizeof(text), "%s %020d\n", store_instance(s), 99);
    write_mark(d, text);
    assert_false(fits(s, d));

    for (size_t i = 0; i < 4; i++) {
        static const char *const bad[] = { "", "x",
                                           "99999999 00000000000000000"
                                           "001\n",
                                           NULL };

        if (bad[i])
            write_mark(d, bad[i]);
        else
            assert_int_equal(unlink(tmp_dir_file(d, STORE_MARK_FILE)), 0);
        assert_false(fits(s, d));
        assert_int_equal(store_mark_settle(s), 0);
        assert_true(fits(s, d));
    }
    store_close(s);
}

static void test_a_registry_without_a_number_is_old(void **state)
{
    struct tmp_dir *d = *state;
    struct store *s = open_store(d);
    char text[64];

    (void)snprintf(text, sizeof(text), "%s %020d\n", store_instance(s), 1);
    write_mark(d, text);
    assert_false(fits(s, d));
    store_close(s);
}

#define IN_DIR(fn)                                                             \
    cmocka_unit_test_setup_teardown(fn, tmp_dir_new, tmp_dir_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_account_survives_a_restart_whole),
        IN_DIR(test_every_key_type_is_kept),
        IN_DIR(test_update_replaces_all_columns),
        IN_DIR(test_names_are_taken_once_and_must_exist),
        cmocka_unit_test(test_copy_shares_nothing),
        cmocka_unit_test(test_status_names_go_both_ways),
        IN_DIR(test_suspensions_survive_until_resumed),
        IN_DIR(test_suspension_scopes_are_closed),
        IN_DIR(test_instance_is_made_once),
        IN_DIR(test_second_opener_is_told_who_holds_it),
        IN_DIR(test_files_are_for_the_owner_alone),
        IN_DIR(test_directory_others_can_write_is_refused),
        IN_DIR(test_newer_schema_is_left_untouched),
        IN_DIR(test_newer_schema_in_a_wal_is_left_there),
        IN_DIR(test_somebody_elses_database_is_refused),
        IN_DIR(test_file_that_is_no_database_is_refused),
        IN_DIR(test_damaged_pages_are_noticed_at_open),
        IN_DIR(test_row_with_a_cut_key_is_corrupt),
        IN_DIR(test_half_a_proof_is_corrupt),
        IN_DIR(test_full_disk_loses_nothing),
        IN_DIR(test_missing_parent_is_named),
        IN_DIR(test_a_copied_registry_has_to_ask),
        IN_DIR(test_a_restore_that_was_interrupted),
        IN_DIR(test_a_mark_tells_an_old_registry),
        IN_DIR(test_a_registry_without_a_number_is_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
