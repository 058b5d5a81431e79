/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The lists. Some of these calls are allowed with some arguments only
 * (filter.c). Calls stand here because a run of all tests under strace showed
 * them, or because a library's other path would make them: another C library,
 * an older kernel, a name service that this host does not have. What a machine
 * does not have is left out there.
 */
#include <seccomp.h>

#include "base/filter.h"

#define CALL(name) SCMP_SYS(name)

const int filter_run[] = {
    /* memory */
    CALL(brk), CALL(mmap), CALL(mmap2), CALL(mprotect), CALL(pkey_mprotect),
    CALL(munmap), CALL(mremap), CALL(madvise), CALL(msync), CALL(mincore),
    CALL(mlock), CALL(mlock2), CALL(munlock), CALL(membarrier),
    /* open descriptors */
    CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(preadv2),
    CALL(write), CALL(writev), CALL(pwrite64), CALL(pwritev), CALL(pwritev2),
    CALL(ioctl), CALL(lseek), CALL(_llseek), CALL(fstat), CALL(fstat64),
    CALL(close), CALL(close_range), CALL(dup), CALL(dup2), CALL(dup3),
    CALL(fcntl), CALL(fcntl64), CALL(poll), CALL(ppoll), CALL(ppoll_time64),
    CALL(select), CALL(_newselect), CALL(pselect6), CALL(pselect6_time64),
    CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait),
    CALL(epoll_pwait), CALL(epoll_pwait2), CALL(eventfd), CALL(eventfd2),
    CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_settime64),
    CALL(timerfd_gettime), CALL(timerfd_gettime64), CALL(signalfd),
    CALL(signalfd4), CALL(memfd_create),
    /* threads and signals of this process */
    CALL(futex), CALL(futex_time64), CALL(futex_waitv), CALL(set_robust_list),
    CALL(get_robust_list), CALL(set_tid_address), CALL(rseq), CALL(sched_yield),
    CALL(sched_getaffinity), CALL(sched_getparam), CALL(sched_getscheduler),
    CALL(getcpu), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),
    CALL(rt_sigpending), CALL(rt_sigtimedwait), CALL(rt_sigtimedwait_time64),
    CALL(rt_sigsuspend), CALL(sigreturn), CALL(sigaltstack), CALL(pause),
    CALL(restart_syscall), CALL(exit), CALL(exit_group), CALL(tgkill),
    CALL(prctl),
    /* time, chance, and who we are */
    CALL(clock_gettime), CALL(clock_gettime64), CALL(clock_getres),
    CALL(clock_getres_time64), CALL(clock_nanosleep),
    CALL(clock_nanosleep_time64), CALL(nanosleep), CALL(gettimeofday),
    CALL(time), CALL(times), CALL(getrandom), CALL(getpid), CALL(gettid),
    CALL(getppid), CALL(getpgrp), CALL(getpgid), CALL(getsid), CALL(getuid),
    CALL(getuid32), CALL(geteuid), CALL(geteuid32), CALL(getgid),
    CALL(getgid32), CALL(getegid), CALL(getegid32), CALL(getresuid),
    CALL(getresuid32), CALL(getresgid), CALL(getresgid32), CALL(getgroups),
    CALL(getgroups32), CALL(capget), CALL(uname), CALL(sysinfo),
    CALL(getrusage), CALL(getrlimit), CALL(ugetrlimit), CALL(prlimit64),
    CALL(getpriority), FILTER_END
};

const int filter_files[] = { CALL(open),
                             CALL(openat),
                             CALL(openat2),
                             CALL(creat),
                             CALL(stat),
                             CALL(stat64),
                             CALL(lstat),
                             CALL(lstat64),
                             CALL(newfstatat),
                             CALL(fstatat64),
                             CALL(statx),
                             CALL(statfs),
                             CALL(statfs64),
                             CALL(fstatfs),
                             CALL(fstatfs64),
                             CALL(access),
                             CALL(faccessat),
                             CALL(faccessat2),
                             CALL(readlink),
                             CALL(readlinkat),
                             CALL(getdents),
                             CALL(getdents64),
                             CALL(getcwd),
                             CALL(chdir),
                             CALL(fchdir),
                             CALL(umask),
                             CALL(mkdir),
                             CALL(mkdirat),
                             CALL(rmdir),
                             CALL(unlink),
                             CALL(unlinkat),
                             CALL(rename),
                             CALL(renameat),
                             CALL(renameat2),
                             CALL(link),
                             CALL(linkat),
                             CALL(symlink),
                             CALL(symlinkat),
                             CALL(chmod),
                             CALL(fchmod),
                             CALL(fchmodat),

                             CALL(chown),
                             CALL(chown32),
                             CALL(lchown),
                             CALL(lchown32),
                             CALL(fchown),
                             CALL(fchown32),
                             CALL(fchownat),
                             CALL(utime),
                             CALL(utimes),
                             CALL(futimesat),
                             CALL(utimensat),
                             CALL(utimensat_time64),
                             CALL(truncate),
                             CALL(truncate64),
                             CALL(ftruncate),
                             CALL(ftruncate64),
                             CALL(fallocate),
                             CALL(fadvise64),
                             CALL(fadvise64_64),
                             CALL(readahead),
                             CALL(sendfile),
                             CALL(sendfile64),
                             CALL(copy_file_range),
                             CALL(splice),
                             CALL(fsync),
                             CALL(fdatasync),
                             CALL(sync_file_range),
                             CALL(flock),
                             CALL(getxattr),
                             CALL(lgetxattr),
                             CALL(fgetxattr),
                             CALL(inotify_init),
                             CALL(inotify_init1),
                             CALL(inotify_add_watch),
                             CALL(inotify_rm_watch),
                             FILTER_END };

const int filter_sockets[] = {
    CALL(socket),      CALL(socketpair), CALL(connect),
    CALL(bind),        CALL(listen),     CALL(accept),
    CALL(accept4),     CALL(shutdown),   CALL(getsockname),
    CALL(getpeername), CALL(getsockopt), CALL(setsockopt),
    CALL(send),        CALL(sendto),     CALL(sendmsg),
    CALL(sendmmsg),    CALL(recv),       CALL(recvfrom),
    CALL(recvmsg),     CALL(recvmmsg),   CALL(recvmmsg_time64),
    FILTER_END
};

const int filter_children[] = { CALL(clone),   CALL(fork),   CALL(vfork),
                                CALL(kill),    CALL(wait4),  CALL(waitid),
                                CALL(waitpid), CALL(pipe),   CALL(pipe2),
                                CALL(setpgid), CALL(setsid), CALL(pidfd_open),
                                FILTER_END };

const int filter_module[] = {
    /* memory that is shared with a vendor's own service */
    CALL(shmget), CALL(shmat), CALL(shmctl), CALL(shmdt), CALL(semget),
    CALL(semop), CALL(semctl), CALL(semtimedop), CALL(semtimedop_time64),
    CALL(msgget), CALL(msgsnd), CALL(msgrcv), CALL(msgctl), CALL(ipc),
    /* threads that want a processor or priority of their own */
    CALL(sched_setaffinity), CALL(sched_setparam), CALL(sched_setscheduler),
    CALL(sched_get_priority_max), CALL(sched_get_priority_min),
    CALL(sched_rr_get_interval), CALL(setpriority), CALL(ioprio_get),
    /* timers that come as signals */
    CALL(alarm), CALL(setitimer), CALL(getitimer), CALL(timer_create),
    CALL(timer_settime), CALL(timer_settime64), CALL(timer_gettime),
    CALL(timer_delete), CALL(timer_getoverrun), CALL(mlockall),
    CALL(munlockall), CALL(setrlimit), CALL(pkey_alloc), CALL(pkey_free),
    CALL(arch_prctl), FILTER_END
};

/* Setting it needs a capability. */
const int filter_clock[] = { CALL(adjtimex), CALL(clock_adjtime),
                             CALL(clock_adjtime64), FILTER_END };

const int filter_deadly[] = {
    /* other programs, and other processes' memory and descriptors */
    CALL(execve), CALL(execveat), CALL(ptrace), CALL(process_vm_readv),
    CALL(process_vm_writev), CALL(pidfd_getfd), CALL(kcmp),
    /* other users and namespaces */
    CALL(setuid), CALL(setuid32), CALL(setgid), CALL(setgid32), CALL(setreuid),
    CALL(setreuid32), CALL(setregid), CALL(setregid32), CALL(setresuid),
    CALL(setresuid32), CALL(setresgid), CALL(setresgid32), CALL(setgroups),
    CALL(setgroups32), CALL(setfsuid), CALL(setfsuid32), CALL(setfsgid),
    CALL(setfsgid32), CALL(capset), CALL(unshare), CALL(setns), CALL(chroot),
    CALL(pivot_root),
    /* mounts */
    CALL(mount), CALL(umount), CALL(umount2), CALL(move_mount), CALL(open_tree),
    CALL(fsopen), CALL(fsconfig), CALL(fsmount), CALL(fspick),
    CALL(mount_setattr), CALL(swapon), CALL(swapoff), CALL(quotactl),
    CALL(quotactl_fd), CALL(open_by_handle_at),
    /* programs inside the kernel, and large parts of it */
    CALL(bpf), CALL(io_uring_setup), CALL(io_uring_enter),
    CALL(io_uring_register), CALL(userfaultfd), CALL(perf_event_open),
    CALL(add_key), CALL(request_key), CALL(keyctl), CALL(init_module),
    CALL(finit_module), CALL(delete_module), CALL(kexec_load),
    CALL(kexec_file_load), CALL(iopl), CALL(ioperm), CALL(modify_ldt),
    CALL(personality), CALL(reboot), CALL(acct), CALL(lookup_dcookie),
    CALL(clock_settime), CALL(clock_settime64), CALL(settimeofday), CALL(stime),
    CALL(sethostname), CALL(setdomainname), CALL(syslog), FILTER_END
};

bool filter_is_deadly(int call)
{
    for (size_t i = 0; filter_deadly[i] != FILTER_END; i++) {
        if (filter_deadly[i] == call)
            return true;
    }
    return false;
}
