/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/setup-file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../need.h"

static char top[] = "/tmp/test-setup-file-XXXXXX";

static int make_top(void **state)
{
    (void)state;
    return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r %s", top);
    return system(command);
}

/* In static memory, until the next call. */
static const char *at(const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static void assert_content(const char *name, const char *want)
{
    CLEANUP_FD int fd = open(at(name), O_RDONLY | O_CLOEXEC);
    char have[64] = "";

    assert_true(fd >= 0);
    assert_true(read(fd, have, sizeof(have) - 1) >= 0);
    assert_string_equal(have, want);
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(at(name), &st), 0);
    return st.st_mode & 07777;
}

static void test_a_file_is_made_once(void **state)
{
    (void)state;
    assert_int_equal(setup_file_there(at("one")), 0);
    assert_int_equal(setup_file_make(at("one"), bytes_from_str("first"), 0640),
                     0);
    assert_int_equal(mode_of("one"), 0640);
    assert_int_equal(setup_file_there(at("one")), SETUP_FILE_E_THERE);
    assert_int_equal(setup_file_make(at("one"), bytes_from_str("second"), 0640),
                     SETUP_FILE_E_THERE);
    assert_content("one", "first");
}

static void test_a_link_that_leads_nowhere_is_there(void **state)
{
    (void)state;
    assert_int_equal(symlink("nowhere", at("link")), 0);
    assert_int_equal(setup_file_there(at("link")), SETUP_FILE_E_THERE);
    assert_int_equal(setup_file_make(at("link"), bytes_from_str("x"), 0600),
                     SETUP_FILE_E_THERE);
    assert_int_equal(setup_file_there(at("nowhere")), 0);
}

/* What a run that was killed left is replaced, and is never half a file. */
static void test_what_was_left_half_is_replaced(void **state)
{
    int fd = open(at(".guardianctl-setup.new"),
                  O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(write(fd, "half", 4), 4);
    assert_int_equal(close(fd), 0);
    assert_int_equal(setup_file_make(at("two"), bytes_from_str("whole"), 0600),
                     0);
    assert_content("two", "whole");
    assert_int_equal(setup_file_there(at(".guardianctl-setup.new")), 0);
}

static void test_what_cannot_be_made(void **state)
{
    (void)state;
    assert_int_equal(setup_file_make(at("no/file"), bytes_from_str("x"), 0600),
                     -ENOENT);
    assert_int_equal(setup_file_make("file", bytes_from_str("x"), 0600),
                     -EINVAL);
    assert_int_equal(setup_file_make(at(""), bytes_from_str("x"), 0600),
                     SETUP_FILE_E_THERE);
}

static void test_a_directory_is_made_and_given(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(setup_dir_make(at("d"), 0700, 61999, 61998), 0);
    assert_int_equal(lstat(at("d"), &st), 0);
    assert_int_equal(st.st_uid, 61999);
    assert_int_equal(st.st_gid, 61998);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(setup_dir_make(at("d"), 0700, 61999, 61998),
                     SETUP_FILE_E_THERE);
    assert_int_equal(setup_dir_make(at("d"), 0700, 61997, 61997), -EPERM);
    /* In a directory that its owner can write, anything could be swapped. */
    assert_int_equal(setup_dir_make(at("d/e"), 0700, 61999, 61998), -EPERM);
}

static void test_a_directory_of_a_run_that_was_killed(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(mkdir(at("k"), 0700), 0);
    assert_int_equal(setup_dir_make(at("k"), 0700, 61999, 61999), 0);
    assert_int_equal(lstat(at("k"), &st), 0);
    assert_int_equal(st.st_uid, 61999);
    /* One of root's that is open to others is no such thing. */
    assert_int_equal(mkdir(at("open"), 0700), 0);
    assert_int_equal(chmod(at("open"), 0755), 0);
    assert_int_equal(setup_dir_make(at("open"), 0700, 61999, 61999), -EPERM);
}

static void test_what_is_no_directory(void **state)
{
    (void)state;
    assert_int_equal(setup_file_make(at("f"), bytes_from_str("x"), 0600), 0);
    assert_int_equal(setup_dir_make(at("f"), 0700, 0, 0), -ENOTDIR);
    assert_int_equal(symlink("/etc", at("away")), 0);
    assert_int_equal(setup_dir_make(at("away"), 0700, 0, 0), -ENOTDIR);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_made_once),
        cmocka_unit_test(test_a_link_that_leads_nowhere_is_there),
        cmocka_unit_test(test_what_was_left_half_is_replaced),
        cmocka_unit_test(test_what_cannot_be_made),
    };
    const struct CMUnitTest as_root[] = {
        cmocka_unit_test(test_a_directory_is_made_and_given),
        cmocka_unit_test(test_a_directory_of_a_run_that_was_killed),
        cmocka_unit_test(test_what_is_no_directory),
    };

    if (need_group(argc, argv, "root")) {
        need(geteuid() == 0, "root");
        return cmocka_run_group_tests(as_root, make_top, remove_top);
    }
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
