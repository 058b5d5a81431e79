/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../daemon/tmp-dir.h"
#include "../need.h"
#include "client-shim/issue-file.h"

#define PENDING ".chain.pem.guardianctl-new"
#define OTHER 65534

static void put(struct tmp_dir *d, const char *name, const char *text,
                mode_t mode)
{
    const char *path = tmp_dir_file(d, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void expect(struct tmp_dir *d, const char *name, const char *text,
                   mode_t mode)
{
    const char *path = tmp_dir_file(d, name);
    char got[64] = "";
    struct stat st;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    (void)!fread(got, 1, sizeof(got) - 1, f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(got, text);
    assert_int_equal(st.st_mode & 07777, mode);
}

static bool there(struct tmp_dir *d, const char *name)
{
    struct stat st;

    return lstat(tmp_dir_file(d, name), &st) == 0;
}

static struct issue_file found(struct tmp_dir *d, const char *name)
{
    struct issue_file f = { .dir_fd = -1, .fd = -1 };
    struct errmsg err;

    assert_int_equal(issue_file_find(tmp_dir_file(d, name), &f, &err), 0);
    return f;
}

static void replace(struct issue_file *f, const char *text)
{
    struct errmsg err = { 0 };

    assert_int_equal(issue_file_prepare(f, 0644, &err), 0);
    assert_int_equal(issue_file_write(f, bytes_from_str(text), &err), 0);
    assert_int_equal(issue_file_commit(f, &err), 0);
}

static void test_a_new_file_has_the_mode_given(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = found(d, "chain.pem");

    (void)umask(077);
    replace(&f, "new");
    expect(d, "chain.pem", "new", 0644);
    assert_false(there(d, PENDING));
}

static void test_a_replaced_file_keeps_its_mode(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = { .dir_fd = -1, .fd = -1 };

    put(d, "chain.pem", "old and longer than the new one", 0640);
    f = found(d, "chain.pem");
    replace(&f, "new");
    expect(d, "chain.pem", "new", 0640);
}

static void test_before_the_commit_nothing_has_changed(void **state)
{
    struct tmp_dir *d = *state;
    struct issue_file f;
    struct errmsg err = { 0 };

    put(d, "chain.pem", "old", 0644);
    f = found(d, "chain.pem");
    assert_int_equal(issue_file_prepare(&f, 0644, &err), 0);
    assert_int_equal(issue_file_write(&f, bytes_from_str("new"), &err), 0);
    expect(d, "chain.pem", "old", 0644);
    assert_true(there(d, PENDING));
    issue_file_deinit(&f);
    expect(d, "chain.pem", "old", 0644);
    assert_false(there(d, PENDING));
}

static void test_two_runs_do_not_meet(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file one = found(d, "chain.pem");
    CLEANUP_ISSUE_FILE struct issue_file other = found(d, "chain.pem");
    struct errmsg err = { 0 };

    assert_int_equal(issue_file_prepare(&one, 0644, &err), 0);
    assert_int_equal(issue_file_prepare(&other, 0644, &err), ISSUE_FILE_E_BUSY);
    assert_non_null(strstr(err.text, "another guardianctl issue"));
    assert_int_equal(issue_file_resume(&other, &err), ISSUE_FILE_E_BUSY);
    assert_int_equal(issue_file_write(&one, bytes_from_str("one"), &err), 0);
    assert_int_equal(issue_file_commit(&one, &err), 0);
    /* The lock went with the file that was put into place. */
    replace(&other, "other");
    expect(d, "chain.pem", "other", 0644);
}

static void test_what_a_killed_run_left_is_taken_over(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = { .dir_fd = -1, .fd = -1 };

    put(d, PENDING, "half of something that is long", 0666);
    f = found(d, "chain.pem");
    replace(&f, "new");
    expect(d, "chain.pem", "new", 0644);
}

static void test_a_second_name_of_a_file_is_not_written_to(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = { .dir_fd = -1, .fd = -1 };
    char precious[192];
    struct errmsg err = { 0 };

    put(d, "precious", "precious", 0600);
    (void)strcpy(precious, tmp_dir_file(d, "precious"));
    assert_int_equal(link(precious, tmp_dir_file(d, PENDING)), 0);
    f = found(d, "chain.pem");
    assert_int_equal(issue_file_prepare(&f, 0644, &err), -EPERM);
    expect(d, "precious", "precious", 0600);
    assert_int_equal(unlink(tmp_dir_file(d, PENDING)), 0);
    assert_int_equal(symlink(precious, tmp_dir_file(d, PENDING)), 0);
    assert_int_equal(issue_file_prepare(&f, 0644, &err), -ELOOP);
    expect(d, "precious", "precious", 0600);
}

/* Who made it can hold it open, and read the key that root writes to it. */
static void test_another_user_s_beginning_is_not_written_to(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = { .dir_fd = -1, .fd = -1 };
    struct errmsg err = { 0 };

    put(d, PENDING, "planted", 0600);
    assert_int_equal(chown(tmp_dir_file(d, PENDING), OTHER, OTHER), 0);
    f = found(d, "chain.pem");
    assert_int_equal(issue_file_prepare(&f, 0600, &err), -EPERM);
    assert_non_null(strstr(err.text, "another user's"));
    assert_int_equal(issue_file_resume(&f, &err), -EPERM);
    expect(d, PENDING, "planted", 0600);
    /* The file in place is that user's: a killed run had given it away. */
    put(d, "chain.pem", "old", 0640);
    assert_int_equal(chown(tmp_dir_file(d, "chain.pem"), OTHER, OTHER), 0);
    f.exclusive = true;
    assert_int_equal(issue_file_prepare(&f, 0600, &err), -EPERM);
    f.exclusive = false;
    replace(&f, "new");
    expect(d, "chain.pem", "new", 0640);
}

static void test_exclusive_is_never_over_another(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = found(d, "key.pem");
    struct errmsg err = { 0 };

    f.exclusive = true;
    assert_int_equal(issue_file_prepare(&f, 0600, &err), 0);
    assert_int_equal(issue_file_write(&f, bytes_from_str("mine"), &err), 0);
    put(d, "key.pem", "somebody's", 0600);
    assert_int_equal(issue_file_commit(&f, &err), -EEXIST);
    expect(d, "key.pem", "somebody's", 0600);
}

static void test_a_link_is_followed(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = { .dir_fd = -1, .fd = -1 };
    struct stat st;

    put(d, "real.pem", "old", 0600);
    assert_int_equal(symlink("real.pem", tmp_dir_file(d, "chain.pem")), 0);
    f = found(d, "chain.pem");
    replace(&f, "new");
    expect(d, "real.pem", "new", 0600);
    assert_int_equal(lstat(tmp_dir_file(d, "chain.pem"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void test_what_is_no_plain_file_is_refused(void **state)
{
    struct tmp_dir *d = *state;
    struct issue_file f = { .dir_fd = -1, .fd = -1 };
    struct errmsg err = { 0 };

    assert_int_equal(issue_file_find(d->path, &f, &err), -EINVAL);
    assert_int_equal(issue_file_find(tmp_dir_file(d, "no/chain.pem"), &f, &err),
                     -ENOENT);
    assert_int_equal(issue_file_find(tmp_dir_file(d, "."), &f, &err), -EINVAL);
    assert_int_equal(symlink("nowhere", tmp_dir_file(d, "chain.pem")), 0);
    assert_int_equal(issue_file_find(tmp_dir_file(d, "chain.pem"), &f, &err),
                     -ENOENT);
}

static void test_a_mark_outlives_the_run(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ISSUE_FILE struct issue_file f = found(d, "chain.pem");
    CLEANUP_ISSUE_FILE struct issue_file next = found(d, "chain.pem");
    struct errmsg err = { 0 };

    assert_false(issue_file_marked(&f));
    assert_int_equal(issue_file_mark(&f, &err), 0);
    assert_int_equal(issue_file_mark(&f, &err), 0);
    assert_true(issue_file_marked(&next));
    assert_int_equal(issue_file_unmark(&next, &err), 0);
    assert_int_equal(issue_file_unmark(&next, &err), 0);
    assert_false(issue_file_marked(&f));
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, tmp_dir_new, tmp_dir_free)
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_file_has_the_mode_given),
        TEST(test_a_replaced_file_keeps_its_mode),
        TEST(test_before_the_commit_nothing_has_changed),
        TEST(test_two_runs_do_not_meet),
        TEST(test_what_a_killed_run_left_is_taken_over),
        TEST(test_a_second_name_of_a_file_is_not_written_to),
        TEST(test_exclusive_is_never_over_another),
        TEST(test_a_link_is_followed),
        TEST(test_what_is_no_plain_file_is_refused),
        TEST(test_a_mark_outlives_the_run),
    };
    const struct CMUnitTest as_root[] = {
        TEST(test_another_user_s_beginning_is_not_written_to),
    };

    if (need_group(argc, argv, "root")) {
        need(geteuid() == 0, "root");
        return cmocka_run_group_tests(as_root, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
