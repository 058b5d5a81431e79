/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/confine.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int confine(void)
{
    const struct rlimit none = { 0, 0 };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0 ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    return 0;
}

int confine_process(struct errmsg *reterr)
{
    int r = confine();

    if (r)
        errmsg_set(reterr, "the process cannot be confined: %s", strerror(-r));
    return r;
}

int confine_close_fds(int keep)
{
    if (keep < 3)
        return close_range(3, UINT_MAX, 0) < 0 ? -errno : 0;
    if (keep > 3 && close_range(3, (unsigned)keep - 1, 0) < 0)
        return -errno;
    return close_range((unsigned)keep + 1, UINT_MAX, 0) < 0 ? -errno : 0;
}
