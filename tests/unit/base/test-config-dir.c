/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/config-dir.h"

static const struct config_schema schema[] = {
    { "Thing", false, (const char *const[]){ "Key", NULL } },
    { NULL, false, NULL },
};

static char dir[] = "/tmp/test-config-dir-XXXXXX";
static struct config_dir d = { dir, ".thing", schema, NULL };

static void put(const char *name, const char *text, mode_t mode)
{
    char path[256];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void away(const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(remove(path), 0);
}

static int add_stem(const struct config *config, const char *file,
                    const char *stem, void *userdata, struct errmsg *reterr)
{
    (void)config;
    (void)reterr;
    assert_non_null(strstr(file, stem));
    return buf_printf(userdata, "%s ", stem);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    put("b.thing", "[Thing]\n", 0644);
    put("a.thing", "[Thing]\n", 0644);
    put("C.thing", "[Thing]\n", 0644);
    put(".hidden.thing", "[Other]\n", 0644);
    put("a.other", "[Other]\n", 0644);
    put(".thing", "[Other]\n", 0644);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    away("b.thing");
    away("a.thing");
    away("C.thing");
    away(".hidden.thing");
    away("a.other");
    away(".thing");
    return rmdir(dir);
}

static void test_files_of_one_suffix_in_their_order(void **state)
{
    CLEANUP_BUF struct buf seen = { 0 };

    (void)state;
    assert_int_equal(config_dir_each(&d, add_stem, &seen, NULL), 0);
    assert_string_equal(buf_str(&seen), "C a b ");
}

static void test_no_directory_has_no_files(void **state)
{
    const struct config_dir none = { "/nonexistent/x", ".thing", schema, NULL };
    CLEANUP_BUF struct buf seen = { 0 };

    (void)state;
    assert_int_equal(config_dir_each(&none, add_stem, &seen, NULL), 0);
    assert_int_equal(config_dir_one(&none, "a", add_stem, &seen, NULL), 0);
    assert_string_equal(buf_str(&seen), "");
}

static void test_one_file_by_its_stem(void **state)
{
    CLEANUP_BUF struct buf seen = { 0 };

    (void)state;
    assert_int_equal(config_dir_one(&d, "a", add_stem, &seen, NULL), 0);
    assert_int_equal(config_dir_one(&d, "x", add_stem, &seen, NULL), 0);
    assert_int_equal(config_dir_one(&d, "../a", add_stem, &seen, NULL), 0);
    assert_int_equal(config_dir_one(&d, ".hidden", add_stem, &seen, NULL), 0);
    assert_int_equal(config_dir_one(&d, "", add_stem, &seen, NULL), 0);
    assert_string_equal(buf_str(&seen), "a ");
}

static void test_a_bad_file_is_named(void **state)
{
    CLEANUP_BUF struct buf seen = { 0 };
    struct errmsg e = { 0 };

    (void)state;
    put("aa.thing", "[Thing]\nKey=1\nOdd=1\n", 0644);
    assert_int_equal(config_dir_each(&d, add_stem, &seen, &e),
                     CONFIG_E_INVALID);
    assert_non_null(strstr(e.file, "/aa.thing"));
    assert_int_equal(e.line, 3);
    /* One that is asked for by name does not suffer from another. */
    assert_int_equal(config_dir_one(&d, "a", add_stem, &seen, &e), 0);
    away("aa.thing");
}

static void test_what_others_can_write_is_refused(void **state)
{
    CLEANUP_BUF struct buf seen = { 0 };
    struct errmsg e = { 0 };

    (void)state;
    put("aa.thing", "[Thing]\n", 0664);
    assert_int_equal(config_dir_one(&d, "aa", add_stem, &seen, &e),
                     CONFIG_E_INVALID);
    assert_non_null(strstr(e.text, "writable"));
    away("aa.thing");
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(config_dir_each(&d, add_stem, &seen, &e),
                     CONFIG_E_INVALID);
    assert_int_equal(chmod(dir, 0700), 0);
}

static int stop(const struct config *config, const char *file, const char *stem,
                void *userdata, struct errmsg *reterr)
{
    (void)config;
    (void)file;
    (void)stem;
    (void)reterr;
    ++*(int *)userdata;
    return 42;
}

static void test_the_reader_can_stop(void **state)
{
    int n = 0;

    (void)state;
    assert_int_equal(config_dir_each(&d, stop, &n, NULL), 42);
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_one_suffix_in_their_order),
        cmocka_unit_test(test_no_directory_has_no_files),
        cmocka_unit_test(test_one_file_by_its_stem),
        cmocka_unit_test(test_a_bad_file_is_named),
        cmocka_unit_test(test_what_others_can_write_is_refused),
        cmocka_unit_test(test_the_reader_can_stop),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
