/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct trusted_rule file = { .type = S_IFREG, .owner = "root" };
static const struct trusted_rule for_another = { .type = S_IFREG,
                                                 .owner = "whoever",
                                                 .root_uses = true };

static void check(const struct trusted_rule *rule, mode_t mode, uid_t uid,
                  const char *text)
{
    const struct stat st = { .st_mode = mode, .st_uid = uid };
    struct errmsg e = { 0 };

    if (!text) {
        assert_int_equal(trusted_check(&st, "/a/file", rule, &e), 0);
        return;
    }
    assert_int_equal(trusted_check(&st, "/a/file", rule, &e), TRUSTED_E_NO);
    assert_string_equal(e.file, "/a/file");
    assert_string_equal(e.text, text);
}

static void test_root_and_we_may_own_it(void **state)
{
    const uid_t us = geteuid();
    const uid_t other = us + 4711;
    char text[64];

    (void)state;
    (void)snprintf(text, sizeof(text), "must be owned by root, not by uid %u",
                   other);
    check(&file, S_IFREG | 0644, 0, NULL);
    check(&file, S_IFREG | 0644, us, NULL);
    check(&file, S_IFREG | 0600, other, text);
}

static void test_root_may_work_for_another(void **state)
{
    const uid_t us = geteuid();
    const uid_t other = us + 4711;
    char text[64];

    (void)state;
    (void)snprintf(text, sizeof(text),
                   "must be owned by whoever, not by uid %u", other);
    check(&for_another, S_IFREG | 0600, other, us == 0 ? NULL : text);
    check(&for_another, S_IFREG | 0620, 0,
          "must be writable by its owner alone (mode 0620)");
}

static void test_others_may_not_write(void **state)
{
    (void)state;
    check(&file, S_IFREG | 0755, 0, NULL);
    check(&file, S_IFREG | 0464, 0,
          "must be writable by its owner alone (mode 0464)");
    check(&file, S_IFREG | 01602, 0,
          "must be writable by its owner alone (mode 1602)");
}

static void test_it_is_what_was_asked_for(void **state)
{
    static const struct trusted_rule dir = { .type = S_IFDIR, .owner = "root" };

    (void)state;
    check(&dir, S_IFDIR | 0755, 0, NULL);
    check(&dir, S_IFREG | 0644, 0, "is no directory");
    check(&file, S_IFDIR | 0755, 0, "is no regular file");
    check(&file, S_IFIFO | 0600, 0, "is no regular file");
}

/* @modes: of DIR/above and DIR/above/below, with a file in the latter. */
static void check_path(const char *dir, mode_t above, mode_t below,
                       const char *text)
{
    CLEANUP_FREE char *real = NULL;
    char path[PATH_MAX];
    struct errmsg e = { 0 };
    int r;

    (void)snprintf(path, sizeof(path), "%s/above/below", dir);
    assert_int_equal(chmod(path, below), 0);
    (void)snprintf(path, sizeof(path), "%s/above", dir);
    assert_int_equal(chmod(path, above), 0);
    (void)snprintf(path, sizeof(path), "%s/link", dir);
    r = trusted_path(path, &file, &real, &e);
    if (text) {
        assert_int_equal(r, TRUSTED_E_NO);
        assert_string_equal(e.text, text);
        return;
    }
    if (r)
        fail_msg("%s: %s", e.file, e.text);
    (void)snprintf(path, sizeof(path), "%s/above/below/file", dir);
    assert_string_equal(real, path);
}

static void test_who_can_write_above_can_change_it(void **state)
{
    static const char above[] = "must be writable by its owner alone (mode "
                                "0775)";
    static const char below[] = "must be writable by its owner alone (mode "
                                "0757)";
    char dir[] = "/tmp/test-trusted-XXXXXX";
    CLEANUP_FREE char *real = NULL;
    struct errmsg e = { 0 };

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("above", 0755), 0);
    assert_int_equal(mkdir("above/below", 0755), 0);
    assert_int_equal(close(open("above/below/file", O_CREAT | O_WRONLY, 0644)),
                     0);
    assert_int_equal(symlink("above/below/file", "link"), 0);
    check_path(dir, 0755, 0755, NULL);
    check_path(dir, 0775, 0755, above);
    check_path(dir, 0755, 0757, below);
    check_path(dir, 01777, 0755, NULL);
    assert_int_equal(chmod("above/below/file", 0666), 0);
    check_path(dir, 0755, 0755,
               "must be writable by its owner alone (mode 0666)");
    assert_int_equal(unlink("above/below/file"), 0);
    assert_int_equal(trusted_path("/nowhere/at/all", &file, &real, &e),
                     -ENOENT);
    assert_int_equal(unlink("link") || rmdir("above/below") || rmdir("above") ||
                         rmdir(dir),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_and_we_may_own_it),
        cmocka_unit_test(test_root_may_work_for_another),
        cmocka_unit_test(test_others_may_not_write),
        cmocka_unit_test(test_it_is_what_was_asked_for),
        cmocka_unit_test(test_who_can_write_above_can_change_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
