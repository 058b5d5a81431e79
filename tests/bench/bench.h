/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * Closed-loop clients, each a process of its own: open() once, then call()
 * until the time is up. Processes, not threads, since the peers' clients are
 * that.
 */

struct bench_side {
    void *(*open)(void *config);           /* in the client; NULL: failed */
    int (*call)(void *client, uint64_t n); /* one request; nonzero: failed */
};

struct bench_result {
    double ops;    /* all clients together, a second */
    double p50_us; /* of all calls of all clients */
    double p99_us;
    uint64_t errors;
};

/* bench_run() - @warm_s seconds uncounted, then @run_s. Exits on failure. */
void bench_run(const struct bench_side *side, void *config, unsigned clients,
               double warm_s, double run_s, struct bench_result *ret);

double bench_now(void);
