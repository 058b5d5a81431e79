/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/chain-files.h"

#include "audit-fixture.h"

static struct chain_files list(struct fixture *f)
{
    struct chain_files files;
    int fd = open(f->log_dir, O_RDONLY | O_DIRECTORY);

    assert_int_equal(chain_files_list(fd, &files), 0);
    close(fd);
    return files;
}

static size_t n_closed(struct fixture *f)
{
    struct chain_files files = list(f);
    size_t n = files.n;

    chain_files_deinit(&files);
    return n;
}

static void write_many(struct fixture *f, unsigned n)
{
    while (n-- > 0)
        assert_int_equal(fixture_write(f, "x"), 0);
}

static void test_closed_file_is_named_after_its_last_line(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };
    char *closed = NULL;

    fixture_open(f);
    write_many(f, 11);
    assert_int_equal(audit_rotate(f->audit, &closed), 0);
    assert_string_equal(closed, fixture_path(f, "audit.jsonl.000000000012"));
    fixture_read(f, "audit.jsonl", &b);
    assert_non_null(strstr(buf_str(&b), "{\"n\":13,"));
    assert_non_null(strstr(buf_str(&b), "\"type\":\"rotate\","
                                        "\"file\":\"audit.jsonl.000000000012\","
                                        "\"file_mac\":\""));
    write_many(f, 3);
    assert_int_equal(fixture_verify(f), 16);
    free(closed);
    buf_deinit(&b);
}

static void test_file_is_closed_at_its_size(void **state)
{
    struct fixture *f = *state;
    struct chain_files files;
    struct stat st;

    f->settings.audit_max_size = 4000;
    fixture_open(f);
    write_many(f, 100);
    files = list(f);
    assert_true(files.n >= 4);
    for (size_t i = 0; i < files.n; i++) {
        char name[CHAIN_FILE_MAX];

        chain_file_name(files.last[i], name);
        assert_int_equal(stat(fixture_path(f, name), &st), 0);
        assert_true(st.st_size >= 4000 && st.st_size < 4500);
        assert_true(st.st_blocks * 512 <= 8192); /* no reserve left behind */
    }
    chain_files_deinit(&files);
    assert_int_equal(fixture_verify(f), 101 + n_closed(f));
}

static void test_chain_goes_on_across_files_and_restarts(void **state)
{
    struct fixture *f = *state;

    f->settings.audit_max_size = 4000;
    for (unsigned i = 0; i < 5; i++) {
        fixture_open(f);
        write_many(f, 30 + i);
        fixture_close(f);
    }
    assert_int_equal(fixture_verify(f), 1 + 160 + n_closed(f));
}

static void test_oldest_files_go_and_that_is_on_record(void **state)
{
    struct fixture *f = *state;
    struct chain_files files;
    struct buf b = { 0 };
    char *closed = NULL;

    f->settings.audit_keep = 2;
    fixture_open(f);
    for (unsigned i = 0; i < 4; i++) {
        write_many(f, 9);
        assert_int_equal(audit_rotate(f->audit, &closed), 0);
        free(closed);
    }
    files = list(f);
    assert_int_equal(files.n, 2);
    assert_true(files.last[0] > 20);
    chain_files_deinit(&files);
    fixture_read(f, "audit.jsonl", &b);
    assert_non_null(strstr(buf_str(&b), "\"type\":\"deleted\",\"file\":"
                                        "\"audit.jsonl.0000000000"));
    /* What is left is whole: the daemon goes on from its own key. */
    fixture_close(f);
    fixture_open(f);
    write_many(f, 1);
    buf_deinit(&b);
}

static void test_file_that_is_in_the_way_is_not_overwritten(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 }, after = { 0 };
    char *closed = NULL;

    fixture_open(f);
    assert_int_equal(buf_append_str(&b, "evidence"), 0);
    fixture_replace(f, "audit.jsonl.000000000001", &b);
    assert_int_equal(audit_rotate(f->audit, &closed), -EEXIST);
    assert_null(closed);
    fixture_read(f, "audit.jsonl.000000000001", &after);
    assert_string_equal(buf_str(&after), "evidence");
    assert_int_equal(access(fixture_path(f, "audit.jsonl.new"), F_OK), -1);

    /* The log goes on where it was. */
    write_many(f, 2);
    assert_int_equal(unlink(fixture_path(f, "audit.jsonl.000000000001")), 0);
    assert_int_equal(fixture_verify(f), 3);
    buf_deinit(&b);
    buf_deinit(&after);
}

static void test_log_that_cannot_be_rotated_grows_on(void **state)
{
    struct fixture *f = *state;

    f->settings.audit_max_size = 1000;
    fixture_open(f);
    /* A directory in the way of the next file, even for root. */
    assert_int_equal(mkdir(fixture_path(f, "audit.jsonl.new"), 0700), 0);
    write_many(f, 50);
    assert_int_equal(n_closed(f), 0);
    assert_int_equal(audit_state(f->audit), 0);
    assert_int_equal(rmdir(fixture_path(f, "audit.jsonl.new")), 0);
    assert_int_equal(fixture_verify(f), 51);
}

static void rotate_once(struct fixture *f)
{
    char *closed = NULL;

    if (fixture_write(f, "x") || audit_rotate(f->audit, &closed) ||
        fixture_write(f, "x"))
        _exit(1);
}

static void test_kill_after_a_rotation_loses_nothing(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    fixture_close(f);
    for (unsigned i = 0; i < 3; i++)
        fixture_crash(f, rotate_once);
    fixture_open(f);
    assert_int_equal(n_closed(f), 3);
    assert_int_equal(fixture_verify(f), 10);
}

static void move(struct fixture *f, const char *from, const char *to)
{
    char old[160];

    (void)snprintf(old, sizeof(old), "%s", fixture_path(f, from));
    assert_int_equal(rename(old, fixture_path(f, to)), 0);
}

static void test_crash_between_the_renames_is_finished(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    fixture_close(f);
    fixture_crash(f, rotate_once);
    /* Where the crash would have left it. */
    move(f, "audit.jsonl", "audit.jsonl.new");
    fixture_open(f);
    assert_int_equal(fixture_verify(f), 4);
    assert_int_equal(access(fixture_path(f, "audit.jsonl.new"), F_OK), -1);
}

static void test_crash_before_the_renames_is_undone(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };

    fixture_open(f);
    write_many(f, 5);
    fixture_close(f);
    assert_int_equal(buf_append_str(&b, "{\"n\":7,"), 0);
    fixture_replace(f, "audit.jsonl.new", &b);
    fixture_open(f);
    assert_int_equal(access(fixture_path(f, "audit.jsonl.new"), F_OK), -1);
    assert_int_equal(fixture_verify(f), 6);
    buf_deinit(&b);
}

static void test_closed_file_alone_is_followed_by_a_new_one(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };

    fixture_open(f);
    write_many(f, 5);
    fixture_close(f);
    move(f, "audit.jsonl", "audit.jsonl.000000000006");
    fixture_open(f);
    fixture_read(f, "audit.jsonl", &b);
    assert_non_null(strstr(buf_str(&b),
                           "\"type\":\"rotate\","
                           "\"file\":\"audit.jsonl.000000000006\""));
    assert_int_equal(fixture_verify(f), 7);
    buf_deinit(&b);
}

static void test_missing_closed_file_with_unsaved_lines_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    fixture_close(f);
    fixture_crash(f, rotate_once);
    assert_int_equal(unlink(fixture_path(f, "audit.jsonl.000000000002")), 0);
    assert_int_equal(fixture_try_open(f), AUDIT_E_INVALID);
}

#define WITH_LOG(fn)                                                           \
    cmocka_unit_test_setup_teardown(fn, fixture_new, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_closed_file_is_named_after_its_last_line),
        WITH_LOG(test_file_is_closed_at_its_size),
        WITH_LOG(test_chain_goes_on_across_files_and_restarts),
        WITH_LOG(test_oldest_files_go_and_that_is_on_record),
        WITH_LOG(test_file_that_is_in_the_way_is_not_overwritten),
        WITH_LOG(test_log_that_cannot_be_rotated_grows_on),
        WITH_LOG(test_kill_after_a_rotation_loses_nothing),
        WITH_LOG(test_crash_between_the_renames_is_finished),
        WITH_LOG(test_crash_before_the_renames_is_undone),
        WITH_LOG(test_closed_file_alone_is_followed_by_a_new_one),
        WITH_LOG(test_missing_closed_file_with_unsaved_lines_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
