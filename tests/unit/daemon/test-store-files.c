/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

#include "store-fixture.h"

/* The registry's files: whose they are, what is in them, and what they are not.
 */

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
    sql(*state, "PRAGMA user_version = 5; CREATE TABLE later (x TEXT)");
    slurp(*state, &before);
    assert_refused(*state, STORE_E_NEWER_SCHEMA, "schema 5");
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
        sqlite3_exec(db, "PRAGMA user_version = 5", NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_close(db), 0);
    slurp(d, &before);
    assert_refused(d, STORE_E_NEWER_SCHEMA, "schema 5");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_second_opener_is_told_who_holds_it),
        IN_DIR(test_files_are_for_the_owner_alone),
        IN_DIR(test_directory_others_can_write_is_refused),
        IN_DIR(test_newer_schema_is_left_untouched),
        IN_DIR(test_newer_schema_in_a_wal_is_left_there),
        IN_DIR(test_somebody_elses_database_is_refused),
        IN_DIR(test_file_that_is_no_database_is_refused),
        IN_DIR(test_damaged_pages_are_noticed_at_open),
        IN_DIR(test_full_disk_loses_nothing),
        IN_DIR(test_missing_parent_is_named),
        IN_DIR(test_a_restore_that_was_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
