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

/* Into other processes, and around the filter. */
static const int calls_of_others[] = {
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
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
};

/*
 * What changes files, directories and mounts. Not all names are on every
 * machine, and those without one here are younger than some libseccomp: their
 * numbers are the same on all of ours.
 */
static const int calls_that_change[] = {
    SCMP_SYS(creat),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(symlink),
    SCMP_SYS(symlinkat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    452, /* fchmodat2 */
    SCMP_SYS(chown),
    SCMP_SYS(chown32),
    SCMP_SYS(fchown),
    SCMP_SYS(fchown32),
    SCMP_SYS(lchown),
    SCMP_SYS(lchown32),
    SCMP_SYS(fchownat),
    SCMP_SYS(truncate),
    SCMP_SYS(truncate64),
    SCMP_SYS(ftruncate),
    SCMP_SYS(ftruncate64),
    SCMP_SYS(fallocate),
    SCMP_SYS(utime),
    SCMP_SYS(utimes),
    SCMP_SYS(futimesat),
    SCMP_SYS(utimensat),
    SCMP_SYS(utimensat_time64),
    SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr),
    SCMP_SYS(fsetxattr),
    463, /* setxattrat */
    SCMP_SYS(removexattr),
    SCMP_SYS(lremovexattr),
    SCMP_SYS(fremovexattr),
    466, /* removexattrat */
    469, /* file_setattr */
    SCMP_SYS(mount),
    SCMP_SYS(umount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    467, /* open_tree_attr */
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
};

/* A call that this machine does not have needs no rule. */
static int refuse(scmp_filter_ctx filter, int error, int call,
                  const struct scmp_arg_cmp *arg)
{
    int r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((unsigned)error),
                                   call, arg ? 1 : 0, arg);

    return r == -EDOM ? 0 : r;
}

static int refuse_all(scmp_filter_ctx filter, const int *calls, size_t n)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = refuse(filter, EPERM, calls[i], NULL);
    return r;
}

/* @arg: which of its arguments the flags are. The kernel looks at an int. */
static int refuse_writing(scmp_filter_ctx filter, int call, unsigned arg)
{
    static const struct {
        unsigned mask, value;
    } flags[] = {
        { O_ACCMODE, O_WRONLY },  { O_ACCMODE, O_RDWR },
        { O_ACCMODE, O_ACCMODE }, /* for ioctl(), with both rights */
        { O_CREAT, O_CREAT },     { O_TRUNC, O_TRUNC },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(flags); i++)
        r = refuse(
            filter, EACCES, call,
            &SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, flags[i].mask, flags[i].value));
    return r;
}

/*
 * Files are still read: those of certificates, resolv.conf, hosts, and what
 * libraries find as they go. Nothing of the user's is changed, which is theirs
 * where the child has kept its user. The flags of openat2() are in memory,
 * where no filter sees them; libraries do without it.
 */
static int confine_files(scmp_filter_ctx filter)
{
    int r = refuse_writing(filter, SCMP_SYS(open), 1);

    if (r == 0)
        r = refuse_writing(filter, SCMP_SYS(openat), 2);
    if (r == 0)
        r = refuse(filter, ENOSYS, SCMP_SYS(openat2), NULL);
    return r ? r
             : refuse_all(filter, calls_that_change,
                          ARRAY_LEN(calls_that_change));
}

/*
 * The daemon's sockets are open to every local user, so closing ours is not
 * enough: there are no Unix sockets, no other programs and no reaching into
 * the parent. Name service falls back to files and DNS.
 */
static int confine_calls(scmp_filter_ctx filter)
{
    int r;

    r = refuse(filter, EAFNOSUPPORT, SCMP_SYS(socket),
               &SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffU, AF_UNIX));
    /* What abort(3) and threads need: signals to itself. */
    if (r == 0)
        r = refuse(filter, EPERM, SCMP_SYS(tgkill),
                   &SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
    if (r == 0)
        r = refuse_all(filter, calls_of_others, ARRAY_LEN(calls_of_others));
    if (r == 0)
        r = confine_files(filter);
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
