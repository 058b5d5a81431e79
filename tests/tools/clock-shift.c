/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded (LD_PRELOAD), it moves the clock of one program: CLOCK_SHIFT=
 * seconds later. A TSIG is made with gettimeofday().
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    const char *shift = getenv("CLOCK_SHIFT");
    struct timespec now = { 0 };

    (void)tz;
    if (syscall(SYS_clock_gettime, CLOCK_REALTIME, &now) < 0)
        return -1;
    tv->tv_sec = now.tv_sec + (shift ? strtol(shift, NULL, 10) : 0);
    tv->tv_usec = now.tv_nsec / 1000;
    return 0;
}
