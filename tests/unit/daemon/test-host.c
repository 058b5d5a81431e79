/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BUILT 1795000000

static void test_a_clock_is_judged(void **state)
{
    static const struct {
        int64_t now_s;
        bool synchronised;
        enum host_clock want;
    } cases[] = {
        { BUILT + 1, true, HOST_CLOCK_GOOD },
        { BUILT, true, HOST_CLOCK_GOOD },
        { BUILT + 1, false, HOST_CLOCK_UNSYNCHRONISED },
        { BUILT - 1, false, HOST_CLOCK_BEFORE_BUILD },
        { BUILT - 1, true, HOST_CLOCK_BEFORE_BUILD },
        { 0, false, HOST_CLOCK_BEFORE_BUILD },
        { -1, true, HOST_CLOCK_BEFORE_BUILD },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(
            host_judge_clock(cases[i].now_s, BUILT, cases[i].synchronised),
            cases[i].want);
    assert_null(host_clock_text(HOST_CLOCK_GOOD));
    assert_non_null(
        strstr(host_clock_text(HOST_CLOCK_UNSYNCHRONISED), "not synchronised"));
    assert_non_null(strstr(host_clock_text(HOST_CLOCK_BEFORE_BUILD),
                           "before this version"));
}

/* Below /tmp, where everybody may write and nobody may replace. */
static char top[32], below[48], path[64];

static int make_dirs(void **state)
{
    (void)state;
    (void)snprintf(top, sizeof(top), "/tmp/test-host-XXXXXX");
    assert_non_null(mkdtemp(top));
    (void)snprintf(below, sizeof(below), "%s/run", top);
    (void)snprintf(path, sizeof(path), "%s/x.sock", below);
    assert_int_equal(mkdir(below, 0755), 0);
    return 0;
}

static int remove_dirs(void **state)
{
    (void)state;
    return rmdir(below) || rmdir(top);
}

static size_t n_findings(const struct host *h)
{
    size_t n = 0;

    while (h->directories && h->directories[n])
        n++;
    return n;
}

static void test_a_directory_of_ours_is_good(void **state)
{
    struct host h = { 0 };

    (void)state;
    host_look_at_socket(&h, path);
    host_look_at_socket(&h, "no-path");
    assert_int_equal(n_findings(&h), 0);
    host_deinit(&h);
}

static void test_what_others_can_write_is_told_once(void **state)
{
    char *const dirs[] = { below, top };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        struct host h = { 0 };

        assert_int_equal(chmod(dirs[i], 0775), 0);
        host_look_at_socket(&h, path);
        host_look_at_socket(&h, path);
        assert_int_equal(n_findings(&h), 1);
        assert_non_null(strstr(h.directories[0], dirs[i]));
        assert_non_null(
            strstr(h.directories[0], "writable by its owner alone"));
        host_deinit(&h);
        assert_int_equal(chmod(dirs[i], 0755), 0);
    }
}

static void test_a_directory_that_is_not_there_is_told(void **state)
{
    struct host h = { 0 };

    (void)state;
    host_look_at_socket(&h, "/nowhere/x.sock");
    assert_int_equal(n_findings(&h), 1);
    assert_non_null(strstr(h.directories[0], "/nowhere"));
    host_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_clock_is_judged),
        cmocka_unit_test_setup_teardown(test_a_directory_of_ours_is_good,
                                        make_dirs, remove_dirs),
        cmocka_unit_test_setup_teardown(test_what_others_can_write_is_told_once,
                                        make_dirs, remove_dirs),
        cmocka_unit_test(test_a_directory_that_is_not_there_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
