/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics.h"

#include <time.h>

const uint64_t metrics_bounds_us[METRICS_N_BOUNDS] = METRICS_BOUNDS;

uint64_t metrics_now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void metrics_observe(struct metrics_histogram *h, uint64_t us)
{
    size_t i = 0;

    while (i < METRICS_N_BOUNDS && us > metrics_bounds_us[i])
        i++;
    h->n[i]++;
    h->sum_us += us;
}

void metrics_count(struct metrics *m, enum acme_op op, enum reason reason,
                   uint64_t since_us)
{
    m->decisions[op < ACME_OP_COUNT ? op : ACME_OP_UNSET]
                [reason < REASON_COUNT ? reason : REASON_UNSET]++;
    if (reason == REASON_UNSET)
        metrics_observe(&m->signing, metrics_now_us() - since_us);
}
