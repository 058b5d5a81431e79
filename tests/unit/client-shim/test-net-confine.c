/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
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

/* ---- files ---- */

static int closed(int fd)
{
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int read_only_fd(void)
{
    return open("file", O_RDONLY | O_CLOEXEC);
}

#define TRY(expression)                                                        \
    {                                                                          \
#expression, expression                                                \
    }

struct attempt {
    const char *what;
    int error;
};

/* Of a user in a directory of theirs, with a file, a link to it, and a
 * directory. Each would be done without the filter. */
_Noreturn static void change_files(int fd)
{
    static const struct timespec now[2] = { { .tv_nsec = UTIME_NOW },
                                            { .tv_nsec = UTIME_NOW } };
    int r = net_confine(fd);
    const struct attempt attempts[] = {
        TRY(closed(open("file", O_WRONLY))),
        TRY(closed(open("file", O_RDWR))),
        TRY(closed(open("file", O_ACCMODE))),
        TRY(closed(open("new", O_RDONLY | O_CREAT, 0600))),
        TRY(closed(open("file", O_RDONLY | O_TRUNC))),
        TRY(closed(open(".", O_TMPFILE | O_RDWR, 0600))),
        TRY(closed((int)syscall(SYS_openat, AT_FDCWD, "file", O_WRONLY))),
        TRY(closed(
            (int)syscall(SYS_openat, AT_FDCWD, "file", 1ULL << 32 | O_RDWR))),
        TRY(tried(creat("new", 0600))),
        TRY(tried(unlink("link"))),
        TRY(tried(unlinkat(AT_FDCWD, "link", 0))),
        TRY(tried(rename("file", "file2"))),
        TRY(tried(
            syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "file2", 0))),
        TRY(tried(link("file", "hard"))),
        TRY(tried(linkat(AT_FDCWD, "file", AT_FDCWD, "hard", 0))),
        TRY(tried(symlink("file", "soft"))),
        TRY(tried(mkdir("dir2", 0700))),
        TRY(tried(rmdir("dir"))),
        TRY(tried(mkfifo("fifo", 0600))),
        TRY(tried(chmod("file", 0644))),
        TRY(tried(fchmod(read_only_fd(), 0644))),
        TRY(tried(fchmodat(AT_FDCWD, "file", 0644, 0))),
        TRY(tried(syscall(452, AT_FDCWD, "file", 0644, 0))),
        TRY(tried(chown("file", geteuid(), (gid_t)-1))),
        TRY(tried(lchown("link", geteuid(), (gid_t)-1))),
        TRY(tried(fchown(read_only_fd(), geteuid(), (gid_t)-1))),
        TRY(tried(truncate("file", 0))),
        TRY(tried(utimensat(AT_FDCWD, "file", now, 0))),
        TRY(tried(setxattr("file", "user.x", "y", 1, 0))),
        TRY(tried(unshare(CLONE_NEWUSER))),
        TRY(tried(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */))),
    };
    char text[4096] = "";
    size_t n = 0;

    if (r)
        n = (size_t)snprintf(text, sizeof(text), "not confined: %d\n", r);
    for (size_t i = 0; i < ARRAY_LEN(attempts) && n < sizeof(text); i++) {
        if (attempts[i].error != EPERM && attempts[i].error != EACCES)
            n +=
                (size_t)snprintf(text + n, sizeof(text) - n, "%s: %s\n",
                                 attempts[i].what, strerror(attempts[i].error));
    }
    if (tried(syscall(SYS_openat2, AT_FDCWD, "file", NULL, 0)) != ENOSYS)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "openat2\n");
    if (closed(open("file", O_RDONLY | O_NOFOLLOW)) ||
        closed(open(".", O_RDONLY | O_DIRECTORY)) ||
        closed(open("file", O_PATH)))
        (void)snprintf(text + n, sizeof(text) - n, "reading\n");
    (void)!write(fd, text, sizeof(text));
    _exit(0);
}

_Noreturn static void change_files_as_user(int fd)
{
    char dir[] = "/tmp/test-net-confine-XXXXXX";

    if ((getuid() == 0 && setresuid(12345, 12345, 12345) < 0) ||
        !mkdtemp(dir) || chdir(dir) < 0 || mkdir("dir", 0700) < 0 ||
        symlink("file", "link") < 0 ||
        closed(open("file", O_WRONLY | O_CREAT, 0600)))
        _exit(1);
    if (fork() == 0)
        change_files(fd);
    (void)wait(NULL);
    /* Here nothing is forbidden. */
    _exit(unlink("file") || unlink("link") || rmdir("dir") || rmdir(dir));
}

static void test_the_child_changes_no_file_of_its_user(void **state)
{
    char text[4096] = "nothing";
    int pair[2];
    int status = -1;
    pid_t pid;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid = fork();
    if (pid == 0)
        change_files_as_user(pair[1]);
    close(pair[1]);
    assert_int_equal(read(pair[0], text, sizeof(text)), sizeof(text));
    close(pair[0]);
    assert_string_equal(text, "");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0); /* all is there as it was */
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
        cmocka_unit_test(test_the_child_changes_no_file_of_its_user),
        cmocka_unit_test(test_the_child_answers_and_keeps_to_https),
        cmocka_unit_test(test_what_does_not_fit_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
