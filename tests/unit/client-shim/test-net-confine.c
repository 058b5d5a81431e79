/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-shim/net-child.h"
#include "client-shim/net-confine.h"

/* What the confined process found; it may not call cmocka itself. */
struct found {
    int confined;
    int unix_socket, inet_socket, exec, trace, signal, extra_fd, write, memory;
    int signal_thread, abort;
    uid_t uid;
};

static int tried(long r)
{
    return r < 0 ? errno : 0;
}

static const char *memory_of(pid_t pid)
{
    static char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    return path;
}

_Noreturn static void look(int fd, int extra)
{
    char *const none[] = { NULL };
    struct found f = { 0 };
    struct stat sb;

    f.confined = net_confine(fd);
    f.extra_fd = tried(fstat(extra, &sb));
    f.unix_socket = tried(socket(AF_UNIX, SOCK_STREAM, 0));
    f.inet_socket = tried(socket(AF_INET, SOCK_STREAM, 0));
    f.exec = tried(execve("/bin/true", none, none));
    f.trace = tried(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
    f.signal = tried(kill(getppid(), 0));
    f.signal_thread = tried(syscall(SYS_tgkill, getppid(), getppid(), 0));
    f.abort = tried(syscall(SYS_tgkill, getpid(), gettid(), 0));
    f.memory = tried(open(memory_of(getppid()), O_RDWR));
    f.write = tried(open("/proc/self/oom_score_adj", O_WRONLY));
    f.uid = getuid();
    (void)!write(fd, &f, sizeof(f));
    _exit(0);
}

static void test_the_child_cannot_reach_anything_local(void **state)
{
    struct found f = { 0 };
    int extra = open("/dev/null", O_RDONLY);
    int pair[2];
    pid_t pid;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid = fork();
    if (pid == 0)
        look(pair[1], extra);
    close(pair[1]);
    assert_int_equal(read(pair[0], &f, sizeof(f)), sizeof(f));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(pair[0]);
    close(extra);

    assert_int_equal(f.confined, 0);
    assert_int_equal(f.unix_socket, EAFNOSUPPORT);
    assert_int_equal(f.inet_socket, 0);
    assert_int_equal(f.exec, EPERM);
    assert_int_equal(f.trace, EPERM);
    assert_int_equal(f.signal, EPERM);
    assert_int_equal(f.signal_thread, EPERM);
    assert_int_equal(f.abort, 0);
    assert_int_equal(f.extra_fd, EBADF);
    assert_int_equal(f.uid, getuid() == 0 ? 65534 : getuid());
    if (getuid() == 0)
        assert_int_equal(f.write, EACCES);
}

/* As any other user's, so that the child is of that user, too. */
_Noreturn static void start_as_user(int fd)
{
    if (getuid() == 0 && setresuid(12345, 12345, 12345) < 0)
        _exit(1);
    /* What it is for a program that a user starts. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || net_confine_starter())
        _exit(1);
    if (fork() == 0)
        look(fd, fd);
    _exit(wait(NULL) < 0);
}

static void test_the_child_cannot_write_to_who_started_it(void **state)
{
    struct found f = { 0 };
    int pair[2];
    pid_t pid;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid = fork();
    if (pid == 0)
        start_as_user(pair[1]);
    close(pair[1]);
    assert_int_equal(read(pair[0], &f, sizeof(f)), sizeof(f));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(pair[0]);

    assert_int_equal(f.confined, 0);
    assert_true(f.uid != 0 && f.uid != 65534);
    assert_int_equal(f.memory, EACCES);
}

/* Plain http is refused before anything is sent, unless it was allowed. */
static enum net_result result_of(struct net_child *n, const char *url,
                                 bool allow_http)
{
    static struct net_answer a;
    const struct net_call call = { .kind = NET_KIND_DIRECTORY,
                                   .url = url,
                                   .allow_http = allow_http };

    assert_int_equal(net_child_call(n, &call, &a), 0);
    return (enum net_result)a.result;
}

static void test_the_child_answers_and_keeps_to_https(void **state)
{
    const struct net_http_options options = { .timeout_s = 5 };
    CLEANUP_NET_CHILD struct net_child *n = NULL;

    (void)state;
    assert_int_equal(net_child_start(&options, &n), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(result_of(n, "http://127.0.0.1:1/", false),
                     NET_RESULT_BAD_ANSWER);
    assert_int_equal(result_of(n, "http://127.0.0.1:1/", true),
                     NET_RESULT_CONNECT);
    assert_int_equal(result_of(n, "file:///etc/passwd", true),
                     NET_RESULT_BAD_ANSWER);
}

static void test_what_does_not_fit_is_not_sent(void **state)
{
    const struct net_http_options options = { .timeout_s = 5 };
    CLEANUP_NET_CHILD struct net_child *n = NULL;
    static char url[ACME_URL_MAX + 2];
    static uint8_t body[NET_JWS_MAX + 1];
    static struct net_answer a;
    const struct net_call long_url = { .kind = NET_KIND_NONCE, .url = url };
    const struct net_call long_body = { .kind = NET_KIND_ACCOUNT,
                                        .url = "https://a.example/",
                                        .body = { body, sizeof(body) } };

    (void)state;
    memset(url, 'a', sizeof(url) - 1);
    assert_int_equal(net_child_start(&options, &n), 0);
    assert_int_equal(net_child_call(n, &long_url, &a), -E2BIG);
    assert_int_equal(net_child_call(n, &long_body, &a), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_child_cannot_reach_anything_local),
        cmocka_unit_test(test_the_child_cannot_write_to_who_started_it),
        cmocka_unit_test(test_the_child_answers_and_keeps_to_https),
        cmocka_unit_test(test_what_does_not_fit_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
