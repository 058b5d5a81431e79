/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client-shim/backup-file.h"
#include "client-shim/ctl.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define NOW INT64_C(1790553600)
#define KEY "sealed/soft/acme-guardian:01234567:main:1.key"

static void make(struct buf *archive)
{
    static const char *const names[] = { BACKUP_ABOUT, BACKUP_REGISTRY,
                                         "sealed/soft/store.header", KEY };
    CLEANUP_BUF struct buf sums = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(
            backup_add(archive, &sums, names[i], bytes_from_str(names[i]), NOW),
            0);
    assert_int_equal(backup_end(archive, &sums, NOW), 0);
}

static int read_whole(struct bytes archive)
{
    CLEANUP(backup_deinit) struct backup b = { 0 };
    struct errmsg e = { 0 };
    int r = backup_read(archive, &b, &e);

    assert_true(r == 0 || (r == BACKUP_E_INVALID && e.text[0]));
    return r;
}

static void test_what_is_written_is_read(void **state)
{
    CLEANUP_BUF struct buf archive = { 0 };
    CLEANUP(backup_deinit) struct backup b = { 0 };
    struct errmsg e = { 0 };
    const char *file = NULL;
    char token[64];

    (void)state;
    make(&archive);
    assert_int_equal(backup_read(buf_bytes(&archive), &b, &e), 0);
    assert_int_equal(b.n, 5);
    assert_true(bytes_eq_str(backup_find(&b, KEY)->data, KEY));
    assert_null(backup_find(&b, "other"));
    assert_true(backup_sealed_name(KEY, token, &file));
    assert_string_equal(token, "soft");
    assert_string_equal(file, "acme-guardian:01234567:main:1.key");
}

static void test_what_is_cut_is_none(void **state)
{
    CLEANUP_BUF struct buf archive = { 0 };

    (void)state;
    make(&archive);
    for (size_t n = 0; n < archive.len; n++)
        assert_int_equal(read_whole((struct bytes){ archive.data, n }),
                         BACKUP_E_INVALID);
}

static void test_what_is_changed_is_none(void **state)
{
    CLEANUP_BUF struct buf archive = { 0 };

    (void)state;
    make(&archive);
    for (size_t i = 0; i < archive.len; i++) {
        archive.data[i] ^= 0x40;
        if (read_whole(buf_bytes(&archive)) == 0)
            fail_msg("octet %zu", i);
        archive.data[i] ^= 0x40;
    }
}

static void test_names_that_no_backup_has(void **state)
{
    static const char *const names[] = {
        "",
        "/registry.db",
        "../registry.db",
        "registry.db-wal",
        "audit.chain",
        "sealed/",
        "sealed/soft",
        "sealed/soft/",
        "sealed//a.key",
        "sealed/../a.key",
        "sealed/soft/.key",
        "sealed/soft/.a.key",
        "sealed/soft/..",
        "sealed/soft/a/b.key",
        "sealed/soft/pin",
        "sealed/SOFT/a.key",
    };
    CLEANUP_BUF struct buf archive = { 0 };
    CLEANUP_BUF struct buf sums = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        print_message("%s\n", names[i]);
        assert_int_equal(
            backup_add(&archive, &sums, names[i], bytes_from_str("x"), NOW),
            BACKUP_E_NAME);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_what_is_cut_is_none),
        cmocka_unit_test(test_what_is_changed_is_none),
        cmocka_unit_test(test_names_that_no_backup_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
