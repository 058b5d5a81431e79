/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WIDTH 40
#define EVERY_MS 100
#define FEW 20 /* done before one could read it */

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void ctl_progress_begin(struct ctl_progress *p, const char *what, size_t n)
{
    *p = (struct ctl_progress){ .shown = n > FEW && isatty(STDERR_FILENO),
                                .what = what,
                                .n = n };
}

static void draw(const struct ctl_progress *p, size_t done)
{
    char bar[WIDTH + 1];

    for (size_t i = 0; i < WIDTH; i++)
        bar[i] = i < done * WIDTH / p->n ? '#' : '.';
    bar[WIDTH] = '\0';
    (void)fprintf(stderr, "\r%s [%s] %zu of %zu", p->what, bar, done, p->n);
    (void)fflush(stderr);
}

void ctl_progress_step(struct ctl_progress *p, size_t done)
{
    int64_t ms;

    if (!p->shown)
        return;
    ms = now_ms();
    if (ms - p->drawn_ms < EVERY_MS)
        return;
    p->drawn_ms = ms;
    draw(p, p->before + done);
}

void ctl_progress_pause(struct ctl_progress *p)
{
    if (p->shown && p->drawn_ms)
        (void)fputs("\r\033[K", stderr);
    p->drawn_ms = 0;
}

void ctl_progress_end(struct ctl_progress *p)
{
    ctl_progress_pause(p);
    p->shown = false;
}
