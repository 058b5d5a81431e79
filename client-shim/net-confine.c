/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Never matches a rule and never has a role (design section 8). */
#define UID_NOBODY 65534

int net_confine_starter(void)
{
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

static int confine_fds(int fd)
{
    int null;

    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int i = 0; i < 3; i++) {
        if (dup2(null, i) < 0)
            return -errno;
    }
    if (fd > 3 && close_range(3, (unsigned)fd - 1, 0) < 0)
        return -errno;
    return close_range((unsigned)fd + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int confine_ids(void)
{
    if (geteuid() != 0)
        return 0;
    if (setgroups(0, NULL) < 0 ||
        setresgid(UID_NOBODY, UID_NOBODY, UID_NOBODY) < 0 ||
        setresuid(UID_NOBODY, UID_NOBODY, UID_NOBODY) < 0)
        return -errno;
    return 0;
}

/*
 * The daemon's sockets are open to every local user, so closing ours is not
 * enough: there are no Unix sockets, no other programs and no reaching into
 * the parent. Name service falls back to files and DNS.
 */
static int confine_calls(scmp_filter_ctx filter)
{
    static const int forbidden[] = {
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(ptrace),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(pidfd_getfd),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(kill),
        SCMP_SYS(tkill),
        SCMP_SYS(rt_sigqueueinfo),
        SCMP_SYS(rt_tgsigqueueinfo),
        SCMP_SYS(pidfd_send_signal),
    };
    int r;

    r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket),
                         1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, AF_UNIX));
    /* What abort(3) and threads need: signals to itself. */
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                             SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(forbidden); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
    return r ? r : seccomp_load(filter);
}

static void filter_free(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

int net_confine(int fd)
{
    CLEANUP(filter_free) scmp_filter_ctx filter = NULL;
    const struct rlimit none = { 0, 0 };
    int r;

    r = confine_fds(fd);
    if (r == 0)
        r = confine_ids();
    if (r)
        return r;
    /* After the ids, whose change resets the first of them. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_FSIZE, &none) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    filter = seccomp_init(SCMP_ACT_ALLOW);
    return filter ? confine_calls(filter) : -ENOMEM;
}
