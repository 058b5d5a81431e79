/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/trusted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_and_we_may_own_it),
        cmocka_unit_test(test_root_may_work_for_another),
        cmocka_unit_test(test_others_may_not_write),
        cmocka_unit_test(test_it_is_what_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
