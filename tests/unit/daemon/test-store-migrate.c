/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The registry that version 0.1.0 left (tests/upgrade) under today's schema. */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/bytes.h"
#include "tmp-dir.h"

static void slurp(const char *path, struct buf *b)
{
    int fd = open(path, O_RDONLY);
    uint8_t block[4096];
    ssize_t n;

    assert_true(fd >= 0);
    buf_clear(b);
    while ((n = read(fd, block, sizeof(block))) > 0)
        assert_int_equal(buf_append(b, block, (size_t)n), 0);
    assert_int_equal(n, 0);
    close(fd);
}

static void sql(const char *path, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), 0);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_close(db), 0);
}

static void take_old(struct tmp_dir *d)
{
    struct buf b = { 0 };
    int fd;

    slurp(OLD_REGISTRY, &b);
    fd = open(tmp_dir_file(d, "registry.db"), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.data, b.len), (ssize_t)b.len);
    close(fd);
    buf_deinit(&b);
    sql(tmp_dir_file(d, "registry.db"),
        "INSERT INTO account_list VALUES ('ec', 'contact', 0, 'mailto:a@b.c')");
}

/* Opened so that nothing appears beside it. */
#define OLD_URI "file:" OLD_REGISTRY "?immutable=1"

/* All rows of a query, one after the other. */
static char *ask(const char *path, const char *text)
{
    struct buf b = { 0 };
    sqlite3_stmt *stmt;
    sqlite3 *db;

    assert_int_equal(sqlite3_open_v2(path, &db,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI,
                                     NULL),
                     0);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), 0);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *s = (const char *)sqlite3_column_text(stmt, i);

            assert_int_equal(buf_printf(&b, "%s|", s ? s : "-"), 0);
        }
    }
    assert_int_equal(sqlite3_finalize(stmt), 0);
    assert_int_equal(sqlite3_close(db), 0);
    return b.len > 0 ? buf_take_str(&b) : strdup("");
}

static void assert_same(const char *path_a, const char *path_b,
                        const char *query)
{
    char *a = ask(path_a, query);
    char *b = ask(path_b, query);

    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void assert_contact(const char *path)
{
    char *rows = ask(path, "SELECT * FROM account_list");

    assert_string_equal(rows, "ec|contact|0|mailto:a@b.c|");
    free(rows);
}

static int try_open(struct tmp_dir *d, struct errmsg *e)
{
    struct store *s = NULL;
    int r = store_open(d->path, &s, e);

    store_close(s);
    return r;
}

static void test_everything_is_there_afterwards(void **state)
{
    struct tmp_dir *d = *state;
    struct store *s = NULL;
    struct errmsg e = { 0 };
    struct store_account *a;
    struct store_rotation *rotations = NULL;
    struct store_suspension *x;
    size_t n;

    take_old(d);
    assert_int_equal(store_open(d->path, &s, &e), 0);
    assert_string_equal(store_instance(s), "91f744de");
    assert_int_equal(store_accounts(s, &a, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(a[0].acme.name, "ec");
    assert_int_equal(a[0].status, ACCOUNT_VALID);
    assert_int_equal(a[1].acme.jwk.type, JWK_TYPE_RSA);
    assert_string_equal(a[0].contacts[0], "mailto:a@b.c");
    assert_null(a[0].contacts[1]);
    for (size_t i = 0; i < n; i++) {
        assert_false(a[i].meta_known);
        assert_null(a[i].external_account);
        assert_null(a[i].issuers);
        assert_int_equal(a[i].proof_s, 0);
        assert_int_equal(a[i].key_since_s, a[i].created_s);
        assert_false(a[i].schedule.rotate.set || a[i].schedule.window);
        assert_false(a[i].must_ask);
        store_account_deinit(&a[i]);
    }
    free(a);
    assert_int_equal(store_rotations(s, &rotations, &n), 0);
    assert_int_equal(n, 0);
    free(rotations);
    assert_int_equal(store_suspensions(s, &x, &n), 0);
    assert_int_equal(n, 1);
    store_suspensions_free(x, n);
    store_close(s);
}

static void test_what_was_there_is_kept_beside_it(void **state)
{
    struct tmp_dir *d = *state;
    struct stat st;

    take_old(d);
    assert_int_equal(try_open(d, NULL), 0);
    assert_int_equal(stat(tmp_dir_file(d, "registry.db.schema-1"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(access(tmp_dir_file(d, "registry.copy"), F_OK), -1);
    assert_same(OLD_URI, tmp_dir_file(d, "registry.db.schema-1"),
                "SELECT * FROM account, pragma_user_version ORDER BY name");
    assert_contact(tmp_dir_file(d, "registry.db.schema-1"));
    assert_same(OLD_URI, tmp_dir_file(d, "registry.db.schema-1"),
                "SELECT * FROM sqlite_schema");
}

/* A change that is not yet in the file itself, but in its WAL. */
static void test_the_copy_has_what_the_wal_has(void **state)
{
    struct tmp_dir *d = *state;
    sqlite3 *db;
    char *word;

    take_old(d);
    assert_int_equal(sqlite3_open(tmp_dir_file(d, "registry.db"), &db), 0);
    assert_int_equal(
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), 0);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA journal_mode = WAL;"
                                  "UPDATE account SET status_text = 'late'",
                                  NULL, NULL, NULL),
                     0);
    assert_int_equal(sqlite3_close(db), 0);
    assert_int_equal(access(tmp_dir_file(d, "registry.db-wal"), F_OK), 0);
    assert_int_equal(try_open(d, NULL), 0);
    word = ask(tmp_dir_file(d, "registry.db.schema-1"),
               "SELECT DISTINCT status_text FROM account");
    assert_string_equal(word, "late|");
    free(word);
}

static void test_migrated_and_new_are_of_one_form(void **state)
{
    const char *query = "SELECT m.name, c.name, c.type, c.\"notnull\", c.pk"
                        " FROM sqlite_schema m, pragma_table_info(m.name) c"
                        " WHERE m.type = 'table' ORDER BY 1, c.cid";
    struct tmp_dir *old = *state;
    void *fresh = NULL;

    assert_int_equal(tmp_dir_new(&fresh), 0);
    take_old(old);
    assert_int_equal(try_open(old, NULL), 0);
    assert_int_equal(try_open(fresh, NULL), 0);
    {
        char *path = strdup(tmp_dir_file(old, "registry.db"));

        assert_same(path, tmp_dir_file(fresh, "registry.db"), query);
        assert_same(path, tmp_dir_file(fresh, "registry.db"),
                    "SELECT type, name, tbl_name, sql FROM sqlite_schema"
                    " ORDER BY name");
        free(path);
    }
    assert_int_equal(tmp_dir_free(&fresh), 0);
}

static void test_a_second_start_copies_nothing(void **state)
{
    struct tmp_dir *d = *state;

    take_old(d);
    assert_int_equal(try_open(d, NULL), 0);
    assert_int_equal(unlink(tmp_dir_file(d, "registry.db.schema-1")), 0);
    assert_int_equal(try_open(d, NULL), 0);
    assert_int_equal(access(tmp_dir_file(d, "registry.db.schema-1"), F_OK), -1);
    assert_int_equal(access(tmp_dir_file(d, "registry.db.schema-2"), F_OK), -1);
}

/* Something in the old registry that the last steps of the way cannot pass. */
static void test_a_failed_migration_leaves_the_old_file(void **state)
{
    struct tmp_dir *d = *state;
    struct buf before = { 0 }, after = { 0 };
    struct errmsg e = { 0 };

    take_old(d);
    sql(tmp_dir_file(d, "registry.db"), "CREATE TABLE denied (x TEXT)");
    slurp(tmp_dir_file(d, "registry.db"), &before);
    assert_true(try_open(d, &e) != 0);
    assert_non_null(strstr(e.text, "has schema 1 and cannot be brought to"));
    assert_non_null(strstr(e.text, "table denied already exists"));
    assert_non_null(strstr(e.text, "nothing was changed"));
    slurp(tmp_dir_file(d, "registry.db"), &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    assert_same(OLD_URI, tmp_dir_file(d, "registry.db"),
                "SELECT * FROM account, pragma_user_version ORDER BY name");
    assert_contact(tmp_dir_file(d, "registry.db"));

    sql(tmp_dir_file(d, "registry.db"), "DROP TABLE denied");
    assert_int_equal(try_open(d, NULL), 0);
    buf_deinit(&before);
    buf_deinit(&after);
}

static void test_without_a_copy_nothing_is_migrated(void **state)
{
    struct tmp_dir *d = *state;
    struct buf before = { 0 }, after = { 0 };
    struct errmsg e = { 0 };

    take_old(d);
    slurp(tmp_dir_file(d, "registry.db"), &before);
    assert_int_equal(mkdir(tmp_dir_file(d, "registry.copy"), 0700), 0);
    assert_true(try_open(d, &e) < 0);
    assert_non_null(strstr(e.text, "registry.db.schema-1"));
    slurp(tmp_dir_file(d, "registry.db"), &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    assert_int_equal(rmdir(tmp_dir_file(d, "registry.copy")), 0);
    assert_int_equal(try_open(d, NULL), 0);
    buf_deinit(&before);
    buf_deinit(&after);
}

/* Rows that name an account outlive the making anew of its table, and what they
 * name is still enforced. */
static void test_rows_of_an_account_stay(void **state)
{
    struct tmp_dir *d = *state;
    struct store_record bad = { .account = "nobody",
                                .domain = "a.example",
                                .issuer = "ca.example" };
    struct store_record_counts counts;
    struct errmsg e = { 0 };
    struct store *s = NULL;
    char *rows;

    take_old(d);
    assert_int_equal(store_open(d->path, &s, &e), 0);
    assert_int_equal(store_records_add(s, &bad, 1, &counts), -EINVAL);
    store_close(s);
    assert_contact(tmp_dir_file(d, "registry.db"));
    rows = ask(tmp_dir_file(d, "registry.db"), "PRAGMA foreign_key_check");
    assert_string_equal(rows, "");
    free(rows);
}

#define IN_DIR(fn)                                                             \
    cmocka_unit_test_setup_teardown(fn, tmp_dir_new, tmp_dir_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_everything_is_there_afterwards),
        IN_DIR(test_what_was_there_is_kept_beside_it),
        IN_DIR(test_the_copy_has_what_the_wal_has),
        IN_DIR(test_migrated_and_new_are_of_one_form),
        IN_DIR(test_rows_of_an_account_stay),
        IN_DIR(test_a_second_start_copies_nothing),
        IN_DIR(test_a_failed_migration_leaves_the_old_file),
        IN_DIR(test_without_a_copy_nothing_is_migrated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
