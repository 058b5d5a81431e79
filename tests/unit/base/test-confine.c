/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/confine.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

/* In a child, since there is no way back: the exit code says what held. */
static int in_child(int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fn());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int confine(void)
{
    struct rlimit core = { 1, 1 };
    struct errmsg err;

    if (confine_process(&err))
        return 1;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 3;
    if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max)
        return 4;
    return signal(SIGPIPE, SIG_DFL) == SIG_IGN ? 0 : 5;
}

static void test_privileges_and_dumps_are_given_up(void **state)
{
    (void)state;
    assert_int_equal(in_child(confine), 0);
}

static int close_all_but_six(void)
{
    for (int fd = 3; fd < 10; fd++) {
        if (dup2(0, fd) < 0)
            return 1;
    }
    if (confine_close_fds(6))
        return 2;
    for (int fd = 3; fd < 10; fd++) {
        if ((fcntl(fd, F_GETFD) >= 0) != (fd == 6))
            return 3;
    }
    return confine_close_fds(-1) || fcntl(6, F_GETFD) >= 0 ||
           fcntl(2, F_GETFD) < 0;
}

static void test_only_what_is_kept_stays_open(void **state)
{
    (void)state;
    assert_int_equal(in_child(close_all_but_six), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privileges_and_dumps_are_given_up),
        cmocka_unit_test(test_only_what_is_kept_stays_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
