/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/linger.h"

#include <sched.h>

#define SMOOTHING 8

void linger_init(struct linger *l)
{
    cpu_set_t cpus;

    *l = (struct linger){ .useful =
                              sched_getaffinity(0, sizeof(cpus), &cpus) == 0 &&
                              CPU_COUNT(&cpus) > 1 };
}

/* The first counts whole; a single slow one does not change much. */
static void learn(struct linger *l, uint64_t took_us)
{
    if (l->answer_us == 0)
        l->answer_us = took_us;
    else
        l->answer_us += took_us / SMOOTHING - l->answer_us / SMOOTHING;
}

static uint64_t patience(const struct linger *l, size_t before)
{
    if (l->streak < LINGER_STREAK)
        return 0;
    if (l->in_flight == 1)
        return l->answer_us <= LINGER_TOKEN_MAX_US / 2 ? 2 * l->answer_us : 0;
    return before == 1 ? LINGER_CLIENT_US : 0;
}

void linger_note(struct linger *l, size_t in_flight, uint64_t now_us)
{
    size_t before = l->in_flight;
    uint64_t wait_us;

    l->in_flight = in_flight;
    if (in_flight > 1) {
        l->streak = 0;
    } else if (in_flight == 1 && before != 1) {
        l->since_us = now_us;
    } else if (in_flight == 0 && before == 1) {
        learn(l, now_us - l->since_us);
        l->streak += l->streak < LINGER_STREAK;
    }
    wait_us = patience(l, before);
    l->until_us = wait_us ? now_us + wait_us : 0;
}

bool linger_wants(const struct linger *l, uint64_t now_us)
{
    return l->useful && now_us < l->until_us;
}
