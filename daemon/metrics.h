/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/request.h"

/*
 * What is counted since the daemon's start, for monitoring: nothing is decided
 * by it, and the audit log has every single one.
 */

/* Upper bounds in microseconds; one more bucket has all that is above. */
#define METRICS_BOUNDS                                                         \
    {                                                                          \
        500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,    \
            1000000, 2500000, 5000000, 10000000, 30000000, 60000000            \
    }
#define METRICS_N_BOUNDS 16
extern const uint64_t metrics_bounds_us[METRICS_N_BOUNDS];

struct metrics_histogram {
    uint64_t n[METRICS_N_BOUNDS + 1]; /* each for itself, not added up */
    uint64_t sum_us;
};

struct metrics {
    /* By operation (UNSET: could not be read) and reason (UNSET: signed). */
    uint64_t decisions[ACME_OP_COUNT][REASON_COUNT];
    struct metrics_histogram signing; /* from a request to its signature */
};

/* metrics_now_us() - of a clock that only goes forward. */
uint64_t metrics_now_us(void);

/* metrics_count() - @since_us: when the request came. */
void metrics_count(struct metrics *m, enum acme_op op, enum reason reason,
                   uint64_t since_us);

/* metrics_observe() - one more in its bucket. */
void metrics_observe(struct metrics_histogram *h, uint64_t us);
