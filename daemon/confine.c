/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <systemd/sd-daemon.h>

/* Libraries write to 1 and 2 whatever these happen to be. */
static int confine_standard_fds(void)
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
static int confine_fds(void)
{
    int n;

    n = sd_listen_fds(0);
    if (n < 0)
        return n;
    if (close_range((unsigned)(SD_LISTEN_FDS_START + n), ~0U, 0) < 0)
        return -errno;
    /* Only with the rest closed: it must not take a place from them. */
    return n == 0 ? confine_standard_fds() : 0;
}

int confine_process(void)
{
    const struct rlimit none = { 0, 0 };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0)
        return -errno;
    /* A file size limit is an error of the audit log, not our end. */
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        return -errno;
    return confine_fds();
}
