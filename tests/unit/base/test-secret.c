/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static int piped(const char *text)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
    assert_int_equal(close(fds[1]), 0);
    return fds[0];
}

static int init_secrets(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    return secrets_init(false, &e);
}

static void test_read_strips_one_newline(void **state)
{
    CLEANUP_SECRET struct secret *s = NULL;
    CLEANUP_FD int fd = piped("1234\n\n");

    (void)state;
    assert_int_equal(secret_new_read(fd, true, &s), 0);
    assert_int_equal(s->len, 5);
    assert_memory_equal(s->data, "1234\n", 5);
}

static void test_read_refuses_nothing_and_too_much(void **state)
{
    struct secret *s = NULL;
    char large[SECRET_MAX + 2];
    int fd = piped("\n");

    (void)state;
    assert_int_equal(secret_new_read(fd, true, &s), -ENODATA);
    (void)close(fd);
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    fd = piped(large);
    assert_int_equal(secret_new_read(fd, true, &s), -E2BIG);
    (void)close(fd);
}

/* In a child, as a user without CAP_IPC_LOCK: the limit counts then. */
static int child_init(bool allow_swappable)
{
    const struct rlimit none = { 0, 0 };
    struct errmsg e = { 0 };
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 ||
            (geteuid() == 0 && setresuid(65533, 65533, 65533) < 0))
            _exit(99);
        _exit(secrets_init(allow_swappable, &e) == SECRET_E_NOT_LOCKABLE
                  ? (strstr(e.text, "AllowSwappableSecrets") ? 1 : 98)
                  : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_a_lock_limit_of_zero_is_refused(void **state)
{
    (void)state;
    assert_int_equal(child_init(false), 1);
    assert_int_equal(child_init(true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lock_limit_of_zero_is_refused),
        cmocka_unit_test_setup(test_read_strips_one_newline, init_secrets),
        cmocka_unit_test_setup(test_read_refuses_nothing_and_too_much,
                               init_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
