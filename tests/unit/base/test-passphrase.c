/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>

#include <cmocka.h>

static int init(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    return secrets_init(false, &e);
}

static int piped(const char *text)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
    assert_int_equal(close(fds[1]), 0);
    return fds[0];
}

static void test_one_line_of_a_pipe_and_no_more(void **state)
{
    CLEANUP_SECRET struct secret *s = NULL;
    CLEANUP_FD int fd = piped("correct horse\nsomething else");
    struct errmsg e = { 0 };
    char rest[32] = "";

    (void)state;
    assert_int_equal(passphrase_read(fd, "?", true, &s, &e), 0);
    assert_int_equal(s->len, 13);
    assert_memory_equal(s->data, "correct horse", 13);
    assert_int_equal(read(fd, rest, sizeof(rest) - 1), 14);
    assert_string_equal(rest, "something else");
}

static void test_nothing_is_no_passphrase(void **state)
{
    static const char *const texts[] = { "", "\n", "\nsecond line" };
    struct secret *s = NULL;
    struct errmsg e = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP_FD int fd = piped(texts[i]);

        assert_int_equal(passphrase_read(fd, "?", true, &s, &e),
                         PASSPHRASE_E_NONE);
        assert_null(s);
    }
}

static void test_more_than_a_secret_holds_is_refused(void **state)
{
    char line[SECRET_MAX + 2];
    struct secret *s = NULL;
    struct errmsg e = { 0 };
    int fd;

    (void)state;
    memset(line, 'x', SECRET_MAX + 1);
    line[SECRET_MAX + 1] = '\0';
    fd = piped(line);
    assert_int_equal(passphrase_read(fd, "?", true, &s, &e), -E2BIG);
    assert_int_equal(close(fd), 0);
}

/* Both ends of a terminal. */
static void open_terminal(int *ret_master, int *ret_slave)
{
    *ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*ret_master >= 0);
    assert_int_equal(grantpt(*ret_master), 0);
    assert_int_equal(unlockpt(*ret_master), 0);
    *ret_slave = open(ptsname(*ret_master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*ret_slave >= 0);
}

/* Types once the echo is off. */
static pid_t type(int master, int slave, const char *text)
{
    struct termios t;
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    do {
        if (tcgetattr(slave, &t) < 0)
            _exit(1);
        (void)usleep(1000);
    } while (t.c_lflag & ECHO);
    _exit(write(master, text, strlen(text)) < 0);
}

static void test_a_terminal_is_asked_twice_without_echo(void **state)
{
    static const struct {
        const char *text;
        int r;
    } rows[] = {
        { "correct horse\ncorrect horse\n", 0 },
        { "correct horse\ncorrect house\n", PASSPHRASE_E_DIFFER },
        { "correct horse\ncorrect hors\n", PASSPHRASE_E_DIFFER },
        { "correct\003horse\n", PASSPHRASE_E_NONE },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_SECRET struct secret *s = NULL;
        CLEANUP_FD int master = -1;
        CLEANUP_FD int slave = -1;
        struct errmsg e = { 0 };
        struct termios t;
        char seen[256] = "";
        int status;
        pid_t pid;

        open_terminal(&master, &slave);
        pid = type(master, slave, rows[i].text);
        assert_int_equal(passphrase_read(slave, "", true, &s, &e), rows[i].r);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(tcgetattr(slave, &t), 0);
        assert_true(t.c_lflag & ECHO);
        assert_true(t.c_lflag & ISIG);
        assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
        (void)!read(master, seen, sizeof(seen) - 1);
        assert_null(strstr(seen, "horse"));
        if (rows[i].r == 0)
            assert_memory_equal(s->data, "correct horse", 13);
        else
            assert_null(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_of_a_pipe_and_no_more),
        cmocka_unit_test(test_nothing_is_no_passphrase),
        cmocka_unit_test(test_more_than_a_secret_holds_is_refused),
        cmocka_unit_test(test_a_terminal_is_asked_twice_without_echo),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
