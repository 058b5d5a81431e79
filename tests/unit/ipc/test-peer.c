/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>
#include <systemd/sd-login.h>

#include "../need.h"

/*
 * sd_pid_get_unit() is wrapped, so that a unit can be given to a process, and
 * something can happen between the reading of the cgroup and what follows.
 */
static struct {
    const char *unit; /* NULL: the real function */
    int error;
    pid_t kill;
} fake;

int __real_sd_pid_get_unit(pid_t pid, char **ret);
int __wrap_sd_pid_get_unit(pid_t pid, char **ret);

int __wrap_sd_pid_get_unit(pid_t pid, char **ret)
{
    if (fake.kill) {
        kill(fake.kill, SIGKILL);
        assert_int_equal(waitpid(fake.kill, NULL, 0), fake.kill);
        fake.kill = 0;
    }
    if (fake.error)
        return fake.error;
    if (!fake.unit)
        return __real_sd_pid_get_unit(pid, ret);
    *ret = strdup(fake.unit);
    return *ret ? 0 : -ENOMEM;
}

struct child {
    pid_t pid;
    int fd; /* our end of its connection */
};

struct listener {
    int fd;
    char dir[32];
    struct sockaddr_un sa;
};

static void listener_init(struct listener *l)
{
    *l = (struct listener){ .dir = "/tmp/peer-XXXXXX",
                            .sa.sun_family = AF_UNIX };
    assert_non_null(mkdtemp(l->dir));
    assert_int_equal(chmod(l->dir, 0755), 0);
    (void)snprintf(l->sa.sun_path, sizeof(l->sa.sun_path), "%s/s", l->dir);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(l->fd >= 0);
    assert_int_equal(bind(l->fd, (struct sockaddr *)&l->sa, sizeof(l->sa)), 0);
    assert_int_equal(chmod(l->sa.sun_path, 0666), 0);
    assert_int_equal(listen(l->fd, 8), 0);
}

static void listener_deinit(struct listener *l)
{
    close(l->fd);
    (void)unlink(l->sa.sun_path);
    (void)rmdir(l->dir);
}

static void child_main(const struct listener *l, uid_t uid, gid_t gid,
                       const gid_t *groups, size_t n_groups)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (uid != getuid() &&
        (setgroups(n_groups, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
         setresuid(uid, uid, uid) < 0))
        _exit(2);
    if (connect(fd, (const struct sockaddr *)&l->sa, sizeof(l->sa)) < 0)
        _exit(3);
    for (;;)
        pause();
}

static struct child child_start(const struct listener *l, uid_t uid, gid_t gid,
                                const gid_t *groups, size_t n_groups)
{
    struct child c = { .pid = fork() };

    assert_true(c.pid >= 0);
    if (c.pid == 0)
        child_main(l, uid, gid, groups, n_groups);
    c.fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(c.fd >= 0);
    return c;
}

static void child_stop(struct child *c)
{
    close(c->fd);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
    }
}

static uint64_t boottime_us(void)
{
    struct timespec ts;

    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &ts), 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Whatever this kernel has, both ways are taken; this asks which is certain. */
static bool kernel_has_peerpidfd(int fd)
{
    int pidfd = -1;
    socklen_t len = sizeof(pidfd);

    if (getsockopt(fd, SOL_SOCKET, 77, &pidfd, &len) < 0)
        return false;
    close(pidfd);
    return true;
}

static void test_ids_come_from_the_kernel(void **state)
{
    static const gid_t groups[] = { 200, 100, 300, 200 };
    CLEANUP(listener_deinit) struct listener l;
    CLEANUP(child_stop) struct child c = { 0, -1 };

    (void)state;
    listener_init(&l);
    c = child_start(&l, 12345, 100, groups, ARRAY_LEN(groups));
    for (int i = 0; i < 2; i++) {
        CLEANUP_PEER struct peer *p = NULL;

        assert_int_equal(peer_new(c.fd, i == 0, &p), 0);
        assert_int_equal(p->uid, 12345);
        assert_int_equal(p->gid, 100);
        assert_int_equal(p->pid, c.pid);
        assert_int_equal(p->n_gids, 3);
        assert_int_equal(p->gids[0], 100);
        assert_true(peer_has_gid(p, 100));
        assert_true(peer_has_gid(p, 200));
        assert_true(peer_has_gid(p, 300));
        assert_false(peer_has_gid(p, 0));
    }
}

static void test_many_groups_are_read_whole(void **state)
{
    enum { N = 3000 };
    static gid_t groups[N];
    CLEANUP(listener_deinit) struct listener l;
    CLEANUP(child_stop) struct child c = { 0, -1 };
    CLEANUP_PEER struct peer *p = NULL;

    (void)state;
    for (gid_t i = 0; i < N; i++)
        groups[i] = 10000 + i;
    listener_init(&l);
    c = child_start(&l, 12345, 5, groups, N);
    assert_int_equal(peer_new(c.fd, true, &p), 0);
    assert_int_equal(p->n_gids, N + 1);
    assert_true(peer_has_gid(p, 10000 + N - 1));
}

static void test_no_unit_is_no_error(void **state)
{
    static const int errors[] = { -ENODATA, -ESRCH, -ENOENT, -ENXIO,
                                  -ENOMEDIUM };
    CLEANUP(listener_deinit) struct listener l;
    CLEANUP(child_stop) struct child c = { 0, -1 };

    (void)state;
    listener_init(&l);
    c = child_start(&l, getuid(), getgid(), NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        CLEANUP_PEER struct peer *p = NULL;

        fake.error = errors[i];
        assert_int_equal(peer_new(c.fd, i % 2, &p), 0);
        assert_null(p->unit);
        assert_false(p->unit_certain);
    }
    fake.error = 0;
}

static void test_a_pinned_peer_has_a_certain_unit(void **state)
{
    CLEANUP(listener_deinit) struct listener l;
    CLEANUP(child_stop) struct child c = { 0, -1 };
    CLEANUP_PEER struct peer *p = NULL;

    (void)state;
    listener_init(&l);
    c = child_start(&l, getuid(), getgid(), NULL, 0);
    fake.unit = "caddy.service";
    assert_int_equal(peer_new(c.fd, true, &p), 0);
    fake.unit = NULL;
    assert_string_equal(p->unit, "caddy.service");
    assert_int_equal(p->unit_certain, kernel_has_peerpidfd(c.fd));
}

static void test_without_peerpidfd_age_makes_a_unit_certain(void **state)
{
    CLEANUP(listener_deinit) struct listener l;
    CLEANUP(child_stop) struct child c = { 0, -1 };
    struct {
        uint64_t after_us;
        bool certain;
    } cases[] = {
        { 0, false },
        { boottime_us() - 60 * 1000000, false }, /* it may have come later */
        { 0, true },
    };

    (void)state;
    listener_init(&l);
    c = child_start(&l, getuid(), getgid(), NULL, 0);
    cases[2].after_us = boottime_us() + 20 * 1000; /* two clock ticks */
    fake.unit = "caddy.service";
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_PEER struct peer *p = NULL;

        assert_int_equal(
            peer_new_connected_after(c.fd, false, cases[i].after_us, &p), 0);
        assert_string_equal(p->unit, "caddy.service");
        assert_int_equal(p->unit_certain, cases[i].certain);
    }
    fake.unit = NULL;
}

static void test_a_peer_that_has_exited_has_no_unit(void **state)
{
    (void)state;
    fake.unit = "caddy.service";
    for (int i = 0; i < 2; i++) {
        CLEANUP(listener_deinit) struct listener l;
        CLEANUP(child_stop) struct child c = { 0, -1 };
        CLEANUP_PEER struct peer *p = NULL;
        pid_t pid;

        listener_init(&l);
        c = child_start(&l, getuid(), getgid(), NULL, 0);
        pid = c.pid;
        kill(c.pid, SIGKILL);
        assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
        c.pid = 0;
        assert_int_equal(peer_new_connected_after(c.fd, i == 0, UINT64_MAX, &p),
                         0);
        assert_int_equal(p->uid, getuid());
        assert_int_equal(p->pid, pid);
        assert_null(p->unit);
        assert_false(p->unit_certain);
    }
    fake.unit = NULL;
}

static void test_a_zombie_has_no_unit(void **state)
{
    (void)state;
    fake.unit = "caddy.service";
    for (int i = 0; i < 2; i++) {
        CLEANUP(listener_deinit) struct listener l;
        CLEANUP(child_stop) struct child c = { 0, -1 };
        CLEANUP_PEER struct peer *p = NULL;
        siginfo_t info;

        listener_init(&l);
        c = child_start(&l, getuid(), getgid(), NULL, 0);
        kill(c.pid, SIGKILL);
        assert_int_equal(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT),
                         0);
        assert_int_equal(peer_new_connected_after(c.fd, i == 0, UINT64_MAX, &p),
                         0);
        assert_null(p->unit);
    }
    fake.unit = NULL;
}

static void test_who_exits_while_the_cgroup_is_read_has_no_unit(void **state)
{
    (void)state;
    fake.unit = "caddy.service";
    for (int i = 0; i < 2; i++) {
        CLEANUP(listener_deinit) struct listener l;
        CLEANUP(child_stop) struct child c = { 0, -1 };
        CLEANUP_PEER struct peer *p = NULL;

        listener_init(&l);
        c = child_start(&l, getuid(), getgid(), NULL, 0);
        fake.kill = c.pid;
        assert_int_equal(peer_new_connected_after(c.fd, i == 0, UINT64_MAX, &p),
                         0);
        assert_int_equal(fake.kill, 0);
        c.pid = 0;
        assert_null(p->unit);
        assert_false(p->unit_certain);
    }
    fake.unit = NULL;
}

static void cgroup_path(char path[static 128], const char *below)
{
    (void)snprintf(path, 128, "%s/system.slice%s",
                   access("/sys/fs/cgroup/unified", F_OK) == 0
                       ? "/sys/fs/cgroup/unified"
                       : "/sys/fs/cgroup",
                   below);
}

static bool make_unit(void)
{
    char path[128];

    cgroup_path(path, "");
    (void)mkdir(path, 0755);
    cgroup_path(path, "/guardian-test.service");
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static void remove_unit(void)
{
    char path[128];

    cgroup_path(path, "/guardian-test.service");
    (void)rmdir(path);
    cgroup_path(path, "");
    (void)rmdir(path); /* not where systemd has units in it */
}

static bool enter_unit(pid_t pid)
{
    char path[128];
    FILE *file;

    cgroup_path(path, "/guardian-test.service/cgroup.procs");
    file = fopen(path, "we");
    if (!file)
        return false;
    (void)fprintf(file, "%d\n", (int)pid);
    return fclose(file) == 0;
}

static bool can_make_a_unit(void)
{
    bool made = make_unit();

    remove_unit();
    return made;
}

static void test_a_real_cgroup_is_read(void **state)
{
    CLEANUP(listener_deinit) struct listener l;
    struct child c;

    (void)state;
    listener_init(&l);
    c = child_start(&l, getuid(), getgid(), NULL, 0);
    assert_true(make_unit());
    assert_true(enter_unit(c.pid));
    for (int i = 0; i < 2; i++) {
        CLEANUP_PEER struct peer *p = NULL;

        assert_int_equal(peer_new_connected_after(
                             c.fd, i == 0, boottime_us() + 20 * 1000, &p),
                         0);
        assert_non_null(p->unit);
        assert_string_equal(p->unit, "guardian-test.service");
        assert_true(p->unit_certain);
    }
    child_stop(&c);
    remove_unit();
}

static void test_a_socket_without_a_peer_is_refused(void **state)
{
    CLEANUP_PEER struct peer *p = NULL;
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(peer_new(fds[0], true, &p), -ENOTSOCK);
    assert_null(p);
    close(fds[0]);
    close(fds[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_unit_is_no_error),
        cmocka_unit_test(test_a_pinned_peer_has_a_certain_unit),
        cmocka_unit_test(test_without_peerpidfd_age_makes_a_unit_certain),
        cmocka_unit_test(test_a_peer_that_has_exited_has_no_unit),
        cmocka_unit_test(test_a_zombie_has_no_unit),
        cmocka_unit_test(test_who_exits_while_the_cgroup_is_read_has_no_unit),
        cmocka_unit_test(test_a_socket_without_a_peer_is_refused),
    };
    const struct CMUnitTest as_root[] = {
        cmocka_unit_test(test_ids_come_from_the_kernel),
        cmocka_unit_test(test_many_groups_are_read_whole),
    };
    const struct CMUnitTest with_cgroups[] = {
        cmocka_unit_test(test_a_real_cgroup_is_read),
    };

    if (need_group(argc, argv, "root")) {
        need(getuid() == 0, "root, to become another user");
        return cmocka_run_group_tests(as_root, NULL, NULL);
    }
    if (need_group(argc, argv, "cgroup")) {
        need(can_make_a_unit(), "a cgroup2 hierarchy that can be written");
        return cmocka_run_group_tests(with_cgroups, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
