/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/confine.h"
#include "base/filter.h"

/* Libraries write to 1 and 2 whatever these happen to be. */
static int isolate_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return -errno;
    } while (fd < 3);
    close(fd);
    return 0;
}

/* A descriptor that somebody forgot to close is a right nobody meant to give.
 */
static int isolate_fds(void)
{
    int n = sd_listen_fds(0);

    if (n < 0)
        return n;
    if (close_range((unsigned)(SD_LISTEN_FDS_START + n), UINT_MAX, 0) < 0)
        return -errno;
    /* Only where none was passed: it must not take a place from them. */
    return n == 0 ? isolate_standard_fds() : 0;
}

/* Users share the descriptors: with the usual soft limit of 1024, sixteen of
 * them could leave none for looking up the seventeenth's name. */
static int isolate_raise_nofile(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int isolate_process(struct errmsg *reterr)
{
    int r;

    r = confine_process(reterr);
    if (r)
        return r;
    /* A file size limit is an error that the audit log reports. */
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        r = -errno;
    if (r == 0)
        r = isolate_raise_nofile();
    if (r == 0)
        r = isolate_fds();
    if (r)
        errmsg_set(reterr, "cannot set up signals and descriptors: %s",
                   strerror(-r));
    return r;
}

int isolate_calls(struct errmsg *reterr)
{
    /* The audit log's child confines itself further. */
    static const int narrower[] = { SYS_seccomp, FILTER_END };
    static const int *const allowed[] = {
        filter_run, filter_files, filter_sockets, filter_children, filter_clock,
        narrower,   NULL
    };
    static const int families[] = { AF_UNIX };

    return filter_load(
        &(struct filter_rules){ .allowed = allowed,
                                .deadly = filter_deadly,
                                .families = families,
                                .n_families = ARRAY_LEN(families) },
        NULL, reterr);
}
