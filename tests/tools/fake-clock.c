/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * For LD_PRELOAD: another clock than the host's, which machines share. The
 * file named by $FAKE_CLOCK has two numbers: the seconds that the wall clock is
 * ahead, and whether it is synchronised, 1 or 0. It is read anew each time. A
 * token helper, which may open nothing, or has not even the name, keeps the
 * host's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

int EXPORT clock_gettime(clockid_t id, struct timespec *t);
time_t EXPORT time(time_t *ret);
int EXPORT adjtimex(struct timex *t);

static void look(long *ret_ahead, int *ret_synchronised)
{
    const char *path = getenv("FAKE_CLOCK");
    FILE *f = path ? fopen(path, "re") : NULL;

    *ret_ahead = 0;
    *ret_synchronised = 1;
    if (!f && (!path || errno == EPERM || errno == EACCES))
        return;
    if (!f || fscanf(f, "%ld %d", ret_ahead, ret_synchronised) != 2)
        abort();
    (void)fclose(f);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int r = (int)syscall(SYS_clock_gettime, id, t);
    int synchronised;
    long ahead;

    if (r == 0 && id == CLOCK_REALTIME) {
        look(&ahead, &synchronised);
        t->tv_sec += ahead;
    }
    return r;
}

time_t time(time_t *ret)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (ret)
        *ret = t.tv_sec;
    return t.tv_sec;
}

int adjtimex(struct timex *t)
{
    int synchronised;
    long ahead;

    if (t->modes) {
        errno = EPERM;
        return -1;
    }
    look(&ahead, &synchronised);
    t->status = synchronised ? 0 : STA_UNSYNC;
    return synchronised ? TIME_OK : TIME_ERROR;
}
