/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/netlink.h>

#include <cmocka.h>

#include "base/confine.h"

/*
 * Each case is tried twice in a child: without the filter it must work, or the
 * test would show nothing, and with it it must not.
 */
enum outcome {
    WORKS = 0,
    REFUSED = 1,  /* ENOSYS */
    KILLED = 2,   /* by SIGSYS */
    OTHERWISE = 3 /* another error */
};

typedef bool (*try_fn)(void);

static enum outcome in_child(const struct filter_rules *rules, try_fn fn)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct errmsg e = { 0 };
        int listener = -1;

        if (confine_process(&e) ||
            (rules && filter_load(rules, &listener, &e))) {
            (void)fprintf(stderr, "%s\n", e.text);
            _exit(OTHERWISE);
        }
        if (fn())
            _exit(WORKS);
        _exit(errno == ENOSYS ? REFUSED : OTHERWISE);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGSYS);
        return KILLED;
    }
    return (enum outcome)WEXITSTATUS(status);
}

/* ---- what is tried ---- */

static bool closes(int fd)
{
    return fd >= 0 && close(fd) == 0;
}

static bool try_unix(void)
{
    return closes(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static bool try_inet(void)
{
    return closes(socket(AF_INET, SOCK_STREAM, 0));
}

static bool try_inet6(void)
{
    return closes(socket(AF_INET6, SOCK_DGRAM, 0));
}

static bool try_route(void)
{
    return closes(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static bool try_uevents(void)
{
    return closes(socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
}

/* An int has 32 bits: what stands above them is not looked at. */
static bool try_inet_in_disguise(void)
{
    return closes((int)syscall(SYS_socket, (UINT64_C(7) << 32) | AF_INET,
                               SOCK_STREAM, 0));
}

static bool try_file(void)
{
    return closes(open("/proc/self/status", O_RDONLY));
}

static bool map(int prot)
{
    return mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool try_map_data(void)
{
    return map(PROT_READ | PROT_WRITE);
}

static bool try_map_code(void)
{
    return map(PROT_READ | PROT_EXEC);
}

static bool try_map_both(void)
{
    return map(PROT_READ | PROT_WRITE | PROT_EXEC);
}

static bool try_make_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool try_share(int flags)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600);
    void *p = shmat(id, NULL, flags);
    int e = errno;

    (void)shmctl(id, IPC_RMID, NULL);
    errno = e;
    return p != (void *)-1;
}

static bool try_share_data(void)
{
    return try_share(0);
}

static bool try_share_code(void)
{
    return try_share(SHM_EXEC);
}

static bool try_exec(void)
{
    char name[] = "/bin/true";
    char *argv[] = { name, NULL };

    return execv(name, argv) == 0;
}

static bool try_trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool try_read_memory(void)
{
    char from[8] = "1234567", to[8] = "";
    struct iovec local = { to, sizeof(to) }, remote = { from, sizeof(from) };

    return syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0) ==
           sizeof(to);
}

static bool try_fork(void)
{
    pid_t pid = fork();
    int status = 1;

    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool try_fork_apart(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, NULL, NULL,
                               NULL, NULL);

    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool try_end_child(void)
{
    pid_t pid = fork();

    if (pid == 0)
        pause();
    return kill(pid, SIGKILL) == 0;
}

static bool try_signal(void)
{
    return kill(getpid(), 0) == 0;
}

/* No terminal, but asked. */
static bool try_isatty(void)
{
    int fd = open("/dev/null", O_RDWR);

    return fd >= 0 && (isatty(fd) || errno == ENOTTY);
}

static bool try_device(void)
{
    int n = 0, pair[2];

    return pipe(pair) == 0 && ioctl(pair[0], FIONREAD, &n) == 0;
}

static bool try_name(void)
{
    return prctl(PR_SET_NAME, "test") == 0;
}

static bool try_keep_capabilities(void)
{
    return prctl(PR_SET_KEEPCAPS, 0) == 0;
}

static bool try_nice(void)
{
    return setpriority(PRIO_PROCESS, 0, 1) == 0;
}

/* A child that is confined still more. */
static bool try_less(void)
{
    static const int *const less[] = { filter_run, NULL };
    const struct filter_rules rules = { .allowed = less };
    pid_t pid = fork();
    int status = 1;

    if (pid == 0)
        _exit(filter_load(&rules, NULL, NULL) || try_file());
    if (waitpid(pid, &status, 0) == pid && status == 0)
        return true;
    errno = ENOSYS;
    return false;
}

/* ---- cases ---- */

static const int unix_only[] = { AF_UNIX };
static const int internet[] = { AF_INET };
static const int seccomp_call[] = { SYS_seccomp, FILTER_END };

static const int *const run[] = { filter_run, NULL };
static const int *const daemon_like[] = { filter_run,     filter_files,
                                          filter_sockets, filter_children,
                                          seccomp_call,   NULL };
static const int *const module_like[] = { filter_run,     filter_files,
                                          filter_sockets, filter_children,
                                          filter_module,  NULL };

static const struct filter_rules narrow = { .allowed = run,
                                            .deadly = filter_deadly };
static const struct filter_rules confined = { .allowed = daemon_like,
                                              .deadly = filter_deadly,
                                              .families = unix_only,
                                              .n_families = 1 };
static const struct filter_rules module = { .allowed = module_like,
                                            .families = internet,
                                            .n_families = 1,
                                            .devices = true };
static const struct filter_rules generating = { .allowed = module_like,
                                                .writable_code = true };
static const struct filter_rules open_wide = { .all_calls = true,
                                               .families = unix_only,
                                               .n_families = 1 };
static const struct filter_rules wide_sockets = { .all_calls = true,
                                                  .all_families = true };
static const struct filter_rules wide_memory = { .all_calls = true,
                                                 .writable_code = true,
                                                 .families = unix_only,
                                                 .n_families = 1 };

/* The kernel's own refusal of writable code comes as another error. */
static bool is_refusal(enum outcome o)
{
    return o == REFUSED || o == OTHERWISE;
}

static const struct {
    const char *what;
    const struct filter_rules *rules;
    try_fn fn;
    enum outcome want; /* REFUSED: in either way */
    bool sanitizers;   /* they want this call themselves */
} cases[] = {
    { "memory", &narrow, try_map_data, WORKS, false },
    { "an open descriptor is all there is", &narrow, try_file, REFUSED, true },
    { "no socket", &narrow, try_unix, REFUSED, false },
    { "no child", &narrow, try_fork, REFUSED, true },
    { "no program", &narrow, try_exec, KILLED, true },
    { "files", &confined, try_file, WORKS, false },
    { "Unix sockets", &confined, try_unix, WORKS, false },
    { "no internet", &confined, try_inet, REFUSED, false },
    { "no IPv6", &confined, try_inet6, REFUSED, false },
    { "no netlink", &confined, try_route, REFUSED, false },
    { "not by high bits", &confined, try_inet_in_disguise, REFUSED, false },
    { "data", &confined, try_map_data, WORKS, false },
    { "code", &confined, try_map_code, WORKS, false },
    { "no writable code", &confined, try_map_both, REFUSED, false },
    { "no code from data", &confined, try_make_code, REFUSED, false },
    { "no program", &confined, try_exec, KILLED, true },
    { "no tracing", &confined, try_trace, KILLED, true },
    { "no other's memory", &confined, try_read_memory, KILLED, false },
    { "a child", &confined, try_fork, WORKS, false },
    { "no namespace", &confined, try_fork_apart, REFUSED, true },
    { "to end a child", &confined, try_end_child, WORKS, false },
    { "no other signal", &confined, try_signal, REFUSED, true },
    { "to ask for a terminal", &confined, try_isatty, WORKS, false },
    { "no devices", &confined, try_device, REFUSED, true },
    { "a name", &confined, try_name, WORKS, false },
    { "no other prctl", &confined, try_keep_capabilities, REFUSED, true },
    { "no priority", &confined, try_nice, REFUSED, false },
    { "a narrower child", &confined, try_less, WORKS, true },
    { "not where nobody said so", &module, try_less, REFUSED, true },
    { "a module's network", &module, try_inet, WORKS, false },
    { "its list of addresses", &module, try_route, WORKS, false },
    { "no other netlink", &module, try_uevents, REFUSED, false },
    { "not what is not listed", &module, try_unix, REFUSED, false },
    { "shared data", &module, try_share_data, WORKS, false },
    { "no shared code", &module, try_share_code, REFUSED, false },
    { "devices", &module, try_device, WORKS, false },
    { "a priority", &module, try_nice, WORKS, false },
    { "no program, but not death", &module, try_exec, REFUSED, true },
    { "code that a module makes", &generating, try_make_code, WORKS, false },
    { "writable code", &generating, try_map_both, WORKS, false },
    { "no sockets at all", &generating, try_inet, REFUSED, false },
    { "every call", &open_wide, try_exec, WORKS, false },
    { "shared data", &open_wide, try_share_data, WORKS, false },
    { "memory all the same", &open_wide, try_map_both, REFUSED, false },
    { "and later", &open_wide, try_make_code, REFUSED, false },
    { "and shared", &open_wide, try_share_code, REFUSED, false },
    { "families all the same", &open_wide, try_inet, REFUSED, false },
    { "by high bits", &open_wide, try_inet_in_disguise, REFUSED, false },
    { "Unix sockets", &open_wide, try_unix, WORKS, false },
    { "any family", &wide_sockets, try_uevents, WORKS, false },
    { "memory", &wide_sockets, try_map_both, REFUSED, false },
    { "writable code", &wide_memory, try_map_both, WORKS, false },
    { "families", &wide_memory, try_inet, REFUSED, false },
};

static void test_what_is_not_listed_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum outcome got;

#ifdef GUARDIAN_SANITIZED
        if (cases[i].sanitizers)
            continue;
#endif
        print_message("%s\n", cases[i].what);
        assert_int_equal(in_child(NULL, cases[i].fn), WORKS);
        got = in_child(cases[i].rules, cases[i].fn);
        if (cases[i].want == REFUSED)
            assert_true(is_refusal(got));
        else
            assert_int_equal(got, cases[i].want);
    }
}

static void test_further_calls_are_allowed_by_name(void **state)
{
    char execve_name[] = "execve", prctl_name[] = "prctl";
    char mmap_name[] = "mmap", socket_name[] = "socket";
    char *more[] = { execve_name, prctl_name, mmap_name, socket_name, NULL };
    const struct filter_rules rules = { .allowed = module_like, .more = more };

    (void)state;
    assert_int_equal(in_child(&rules, try_exec), WORKS);
    assert_int_equal(in_child(&rules, try_keep_capabilities), WORKS);
    /* These have settings of their own. */
    assert_true(is_refusal(in_child(&rules, try_map_both)));
    assert_int_equal(in_child(&rules, try_inet), REFUSED);
}

static void test_names_are_known(void **state)
{
    (void)state;
    assert_true(filter_knows("io_uring_setup"));
    assert_true(filter_knows("clone3"));
    assert_false(filter_knows("io_uring_setup2"));
    assert_false(filter_knows(""));
    assert_true(filter_is_deadly(SYS_ptrace));
    assert_false(filter_is_deadly(SYS_read));
}

/* A list with a call twice or on two lists says two things. */
static void test_no_call_stands_on_two_lists(void **state)
{
    static const int *const lists[] = { filter_run,     filter_files,
                                        filter_sockets, filter_children,
                                        filter_module,  filter_clock,
                                        filter_deadly };

    (void)state;
    for (size_t a = 0; a < ARRAY_LEN(lists); a++) {
        for (const int *call = lists[a]; *call != FILTER_END; call++) {
            unsigned n = 0;

            for (size_t b = 0; b < ARRAY_LEN(lists); b++) {
                for (const int *c = lists[b]; *c != FILTER_END; c++)
                    n += *c == *call;
            }
            if (n != 1)
                print_error("call %d stands %u times\n", *call, n);
            assert_int_equal(n, 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_listed_is_refused),
        cmocka_unit_test(test_further_calls_are_allowed_by_name),
        cmocka_unit_test(test_names_are_known),
        cmocka_unit_test(test_no_call_stands_on_two_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
