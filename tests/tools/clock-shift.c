/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded (LD_PRELOAD), it moves the clock of one program: CLOCK_SHIFT=
 * seconds later. A TSIG is made with gettimeofday(), and judged by time().
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct timespec shifted(void)
{
    const char *shift = getenv("CLOCK_SHIFT");
    struct timespec now = { 0 };

    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    now.tv_sec += shift ? strtol(shift, NULL, 10) : 0;
    return now;
}

__attribute__((visibility("default"))) int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec now = shifted();

    (void)tz;
    *tv = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
    return 0;
}

__attribute__((visibility("default"))) time_t time(time_t *ret)
{
    time_t now = shifted().tv_sec;

    if (ret)
        *ret = now;
    return now;
}
