/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/turn-away.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <systemd/sd-daemon.h>

#define LONG_MS 60000
#define SHORT_MS 50

static int listening(int type, struct sockaddr_un *ret)
{
    socklen_t len = sizeof(*ret);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    /* No path: the kernel chooses an abstract one. */
    assert_int_equal(
        bind(fd, (const struct sockaddr *)ret, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int connected(int type, const struct sockaddr_un *to)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    /* All that autobind gives: a NUL and five digits. */
    assert_int_equal(connect(fd, (const struct sockaddr *)to,
                             offsetof(struct sockaddr_un, sun_path) + 6),
                     0);
    return fd;
}

/* In a process of its own, with @fds from 3 on, as systemd does it. */
static pid_t start_with(const int *fds, size_t n, uint64_t ms)
{
    pid_t pid = fork();
    char text[16];

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    for (size_t i = 0; i < n; i++) {
        /* Out of the way first. */
        int fd = fcntl(fds[i], F_DUPFD, 100);

        if (fd < 0 || dup2(fd, SD_LISTEN_FDS_START + (int)i) < 0)
            _exit(1);
    }
    (void)snprintf(text, sizeof(text), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", text, 1);
    (void)snprintf(text, sizeof(text), "%zu", n);
    (void)setenv("LISTEN_FDS", text, 1);
    turn_away(ms);
    _exit(0);
}

static void expect_end(int fd)
{
    char c;

    assert_int_equal(recv(fd, &c, 1, 0), 0);
    close(fd);
}

static void expect_exit(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_who_waits_and_who_comes_gets_an_end(void **state)
{
    struct sockaddr_un at[2];
    int fds[2] = { listening(SOCK_STREAM, &at[0]),
                   listening(SOCK_SEQPACKET, &at[1]) };
    int waiting[] = { connected(SOCK_STREAM, &at[0]),
                      connected(SOCK_STREAM, &at[0]),
                      connected(SOCK_SEQPACKET, &at[1]) };
    pid_t pid = start_with(fds, 2, LONG_MS);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        expect_end(waiting[i]);
    expect_end(connected(SOCK_STREAM, &at[0]));
    expect_end(connected(SOCK_SEQPACKET, &at[1]));
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)waitpid(pid, NULL, 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_it_ends(void **state)
{
    struct sockaddr_un at;
    int fd = listening(SOCK_STREAM, &at);

    (void)state;
    expect_exit(start_with(&fd, 1, SHORT_MS));
    close(fd);
}

/* A spawned helper has its connection there. */
static void test_without_listening_sockets_it_does_not_wait(void **state)
{
    int pair[2];
    char c;

    (void)state;
    expect_exit(start_with(NULL, 0, LONG_MS));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    expect_exit(start_with(pair, 1, LONG_MS));
    assert_int_equal(recv(pair[1], &c, 1, MSG_DONTWAIT), -1);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_waits_and_who_comes_gets_an_end),
        cmocka_unit_test(test_it_ends),
        cmocka_unit_test(test_without_listening_sockets_it_does_not_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
