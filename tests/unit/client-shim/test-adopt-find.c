/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../daemon/tmp-dir.h"
#include "client-shim/adopt-find.h"

/* Directories as the clients leave them; "key" stands for their keys. */

#define DIRECTORY "https://ca.localhost:14000/dir"
#define URL "https://ca.localhost:14000/my-account/7"
/* Of DIRECTORY and a newline, as dehydrated names it. */
#define DEHYDRATED "aHR0cHM6Ly9jYS5sb2NhbGhvc3Q6MTQwMDAvZGlyCg"

static void put(struct tmp_dir *d, const char *name, const char *text)
{
    char path[160];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s", tmp_dir_file(d, name));
    for (char *at = path + strlen(d->path) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

struct want {
    int r;
    const char *key, *directory, *url;
    const char *words; /* of an error */
};

static void find_as(const char *path, const struct adopt_wish *wish,
                    const struct want *want)
{
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    CLEANUP_ADOPT_FOUND struct adopt_found f = { 0 };
    struct errmsg err = { 0 };

    assert_int_equal(owner_files_open(path, &o, &err), 0);
    assert_int_equal(adopt_find(o, wish, &f, &err), want->r);
    if (want->r) {
        assert_non_null(strstr(err.text, want->words));
        return;
    }
    assert_string_equal(f.key, want->key);
    assert_string_equal(f.directory, want->directory);
    assert_string_equal(f.url, want->url);
    assert_int_equal(f.has, ADOPT_KEY_OWN);
    assert_int_equal(f.content->len, 3);
}

static void find(const char *path, enum client_kind kind,
                 const struct want *want)
{
    const struct adopt_wish wish = { .kind = kind };

    find_as(path, &wish, want);
}

static void test_certbot(void **state)
{
    struct tmp_dir *d = *state;
    struct want want = { .key = "accounts/ca.localhost:14000/dir/0a/"
                                "private_key.json",
                         .directory = DIRECTORY,
                         .url = URL };

    put(d, "accounts/ca.localhost:14000/dir/0a/private_key.json", "key");
    put(d, "accounts/ca.localhost:14000/dir/0a/regr.json",
        "{\"body\": {}, \"uri\": \"" URL "\"}");
    find(d->path, CLIENT_CERTBOT, &want);
    want.key = "private_key.json";
    find(tmp_dir_file(d, "accounts/ca.localhost:14000/dir/0a"), CLIENT_CERTBOT,
         &want);
    find(tmp_dir_file(d, "accounts/ca.localhost:14000/dir/0a/private_key.json"),
         CLIENT_CERTBOT, &want);
}

static void test_one_of_several(void **state)
{
    struct tmp_dir *d = *state;
    struct want want = { .r = ADOPT_FIND_E_SEVERAL,
                         .words = "several accounts" };
    struct adopt_wish wish = { .kind = CLIENT_CERTBOT };

    put(d, "accounts/ca.localhost:14000/dir/0a/private_key.json", "key");
    put(d, "accounts/ca.localhost:14000/dir/0a/regr.json",
        "{\"uri\": \"" URL "\"}");
    put(d, "accounts/staging/dir/0b/private_key.json", "key");
    put(d, "accounts/staging/dir/0b/regr.json", "{\"uri\": \"" URL "0\"}");
    find_as(d->path, &wish, &want);
    want = (struct want){ .key = "accounts/staging/dir/0b/private_key.json",
                          .directory = "https://staging/dir",
                          .url = URL "0" };
    wish.directory = "https://staging/dir";
    find_as(d->path, &wish, &want);
    wish = (struct adopt_wish){ .kind = CLIENT_CERTBOT, .url = URL "0" };
    find_as(d->path, &wish, &want);
    wish.url = URL "1";
    want = (struct want){ .r = ADOPT_FIND_E_NONE, .words = "no account" };
    find_as(d->path, &wish, &want);
}

static void test_acme_sh(void **state)
{
    struct tmp_dir *d = *state;
    struct want want = { .key = "ca/ca.localhost/dir/account.key",
                         .directory = "https://ca.localhost/dir",
                         .url = URL };

    put(d, "ca/ca.localhost/dir/account.key", "key");
    put(d, "ca/ca.localhost/dir/ca.conf",
        "CA_KEY_HASH='x='\nACCOUNT_URL='" URL "'\n");
    put(d, "account.conf", "LOG_FILE=\"$HOME/x\"\n");
    find(d->path, CLIENT_ACME_SH, &want);
    put(d, "www.example.com_ecc/www.example.com.conf",
        "Le_Domain='www.example.com'\nLe_API='" DIRECTORY "'\n");
    put(d, "other/other.conf", "Le_API='https://other/dir'\n");
    want.directory = DIRECTORY;
    find(d->path, CLIENT_ACME_SH, &want);
    put(d, "x/x.conf", "Le_API='https://ca.localhost:1/dir'\n");
    want = (struct want){ .r = ADOPT_FIND_E_BAD, .words = "--directory" };
    find(d->path, CLIENT_ACME_SH, &want);
    put(d, "x/x.conf", "Le_API=$(id)\n");
    want.words = "only a shell could tell";
    find(d->path, CLIENT_ACME_SH, &want);
    put(d, "x/x.conf", "");
    put(d, "account.conf", "ACCOUNT_KEY_PATH='/elsewhere/key'\n");
    want.words = "--from pem";
    find(d->path, CLIENT_ACME_SH, &want);
}

static void test_lego(void **state)
{
    struct tmp_dir *d = *state;
    struct want want = {
        .key = "accounts/ca.localhost_14000/a@example.com/keys/"
               "a@example.com.key",
        .directory = "",
        .url = URL,
    };

    put(d, "accounts/ca.localhost_14000/a@example.com/account.json",
        "{\"email\":\"\",\"registration\":{\"body\":{},\"uri\":\"" URL "\"}}");
    put(d, "accounts/ca.localhost_14000/a@example.com/keys/a@example.com.key",
        "key");
    find(d->path, CLIENT_LEGO, &want);
    put(d, "accounts/ca.localhost_14000/a@example.com/keys/b.key", "key");
    want = (struct want){ .r = ADOPT_FIND_E_BAD, .words = "several keys" };
    find(d->path, CLIENT_LEGO, &want);
}

static void test_lego_5(void **state)
{
    struct tmp_dir *d = *state;
    const struct want want = { .key = "accounts/h/id/id.key",
                               .directory = DIRECTORY,
                               .url = URL };

    put(d, "accounts/h/id/account.json",
        "{\"id\":\"id\",\"server\":\"" DIRECTORY
        "\",\"registration\":{\"accountURL\":\"" URL "\"}}");
    put(d, "accounts/h/id/id.key", "key");
    find(d->path, CLIENT_LEGO, &want);
}

static void test_dehydrated(void **state)
{
    struct tmp_dir *d = *state;
    struct want want = { .key = "accounts/" DEHYDRATED "/account_key.pem",
                         .directory = DIRECTORY,
                         .url = "" };

    put(d, "accounts/" DEHYDRATED "/account_key.pem", "key");
    find(d->path, CLIENT_DEHYDRATED, &want);
    put(d, "accounts/" DEHYDRATED "/account_id.json", "{\"url\":\"" URL "\"}");
    want.url = URL;
    find(d->path, CLIENT_DEHYDRATED, &want);
    put(d, "accounts/" DEHYDRATED "/account_id.json", "{\"url\":\"http");
    want = (struct want){ .r = ADOPT_FIND_E_BAD, .words = "damaged" };
    find(d->path, CLIENT_DEHYDRATED, &want);
    put(d, "accounts/" DEHYDRATED "/account_id.json", "{\"url\":\"x\"}");
    want.words = "URL";
    find(d->path, CLIENT_DEHYDRATED, &want);
}

static void test_getssl_and_pem(void **state)
{
    struct tmp_dir *d = *state;
    struct want want = { .key = "account.key",
                         .directory = DIRECTORY,
                         .url = "" };

    put(d, "account.key", "key");
    put(d, "getssl.cfg", "# CA=\"https://no/\"\nCA=\"" DIRECTORY "\"\n");
    find(d->path, CLIENT_GETSSL, &want);
    put(d, "getssl.cfg", "CA=\"$STAGING\"\n");
    want = (struct want){ .r = ADOPT_FIND_E_BAD, .words = "only a shell" };
    find(d->path, CLIENT_GETSSL, &want);
    want = (struct want){ .key = "account.key", .directory = "", .url = "" };
    find(tmp_dir_file(d, "account.key"), CLIENT_PEM, &want);
    find(tmp_dir_file(d, "account.key"), CLIENT_HAPROXY, &want);
    want = (struct want){ .r = ADOPT_FIND_E_NONE, .words = "not a directory" };
    find(d->path, CLIENT_PEM, &want);
}

static void test_nothing_there(void **state)
{
    struct tmp_dir *d = *state;
    struct want want = { .r = ADOPT_FIND_E_NONE, .words = "no account" };

    for (int i = CLIENT_CERTBOT; i <= CLIENT_GETSSL; i++)
        find(d->path, (enum client_kind)i, &want);
    put(d, "account.key", "");
    want.words = "empty";
    find(d->path, CLIENT_GETSSL, &want);
}

static void test_what_an_adoption_left(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    CLEANUP_ADOPT_FOUND struct adopt_found f = { 0 };
    CLEANUP_BUF struct buf note = { 0 };
    const struct adopt_wish wish = { .kind = CLIENT_GETSSL };
    const struct want damaged = { .r = ADOPT_FIND_E_BAD,
                                  .words = "damaged stub" };
    struct errmsg err = { 0 };

    assert_int_equal(client_state_retired("main", &note), 0);
    put(d, "account.key", buf_str(&note));
    assert_int_equal(owner_files_open(d->path, &o, &err), 0);
    assert_int_equal(adopt_find(o, &wish, &f, &err), 0);
    assert_int_equal(f.has, ADOPT_KEY_RETIRED);
    put(d, "account.key",
        "-----BEGIN ACME GUARDIAN ACCOUNT-----\nAAAA\n"
        "-----END ACME GUARDIAN ACCOUNT-----\n");
    find(d->path, CLIENT_GETSSL, &damaged);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, tmp_dir_new, tmp_dir_free)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(test_certbot),
        CASE(test_one_of_several),
        CASE(test_acme_sh),
        CASE(test_lego),
        CASE(test_lego_5),
        CASE(test_dehydrated),
        CASE(test_getssl_and_pem),
        CASE(test_nothing_there),
        CASE(test_what_an_adoption_left),
    };
    struct errmsg err = { 0 };

    if (secrets_init(true, &err))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
