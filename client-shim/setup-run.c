/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/setup-run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MEMLOCK (64UL << 20) /* as the token helper's unit has it */

static int become(const struct run_program *p)
{
    const struct rlimit memlock = { MEMLOCK, MEMLOCK };

    if (!p->as_user)
        return 0;
    (void)umask(077);
    /* Without it the helper says so itself. */
    (void)setrlimit(RLIMIT_MEMLOCK, &memlock);
    if (setgroups(p->group ? 1 : 0, &p->group) < 0 ||
        setresgid(p->gid, p->gid, p->gid) < 0 ||
        setresuid(p->uid, p->uid, p->uid) < 0)
        return -errno;
    return 0;
}

/* Out of the way of each other first. */
static int arrange_fds(const struct run_program *p)
{
    int in = p->in >= 0 ? fcntl(p->in, F_DUPFD_CLOEXEC, 10)
                        : open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = fcntl(p->out >= 0 ? p->out : STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    int extra = p->extra >= 0 ? fcntl(p->extra, F_DUPFD_CLOEXEC, 10) : -1;
    int last = p->extra >= 0 ? RUN_EXTRA_FD : STDERR_FILENO;

    if (in < 0 || out < 0 || (p->extra >= 0 && extra < 0) ||
        dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        (extra >= 0 && dup2(extra, RUN_EXTRA_FD) < 0))
        return -errno;
    return close_range((unsigned)last + 1, UINT_MAX, 0) < 0 ? -errno : 0;
}

/* execve() does not write to them. */
static char *const *unconst(const char *const *argv)
{
    union {
        const char *const *borrowed;
        char *const *plain;
    } u = { argv };

    return u.plain;
}

static noreturn void child(const struct run_program *p)
{
    int r = arrange_fds(p);

    if (r == 0 && p->session && setsid() < 0)
        r = -errno;
    if (r == 0)
        r = become(p);
    /* A change of ids resets it. */
    if (r == 0 && p->session && prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        r = -errno;
    if (r == 0 && p->folder && mkdir(p->folder, 0700) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execve(p->path, unconst(p->argv),
                     p->env ? unconst(p->env) : environ);
        r = -errno;
    }
    (void)dprintf(STDERR_FILENO, "guardianctl: %s: %s\n", p->path,
                  strerror(-r));
    _exit(127);
}

int run_start(const struct run_program *p, pid_t *ret)
{
    pid_t pid = -1;

    /* What stands in a buffer is not for two to print. */
    (void)fflush(stdout);
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        child(p);
    *ret = pid;
    return 0;
}

int run_wait(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return 127;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_capture(const struct run_program *p, size_t max, struct buf *out)
{
    struct run_program with_pipe = *p;
    CLEANUP_FD int from = -1;
    CLEANUP_FD int to = -1;
    int fds[2];
    pid_t pid = -1;
    int status;
    int r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    from = fds[0];
    to = fds[1];
    with_pipe.out = to;
    r = run_start(&with_pipe, &pid);
    if (r)
        return r;
    close(TAKE_FD(to));
    r = buf_read(out, from, max);
    close(TAKE_FD(from));
    status = run_wait(pid);
    return r ? r : status;
}
