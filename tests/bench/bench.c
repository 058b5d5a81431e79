/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/bench.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 64
/* Latencies in buckets of 1/4 us: a histogram costs nothing in the loop. */
#define BUCKETS (4 * 200000)
#define PER_US 4.0

struct client {
    uint64_t calls;
    uint64_t errors;
    uint32_t buckets[BUCKETS];
};

struct shared {
    atomic_uint ready;
    atomic_bool failed;
    _Atomic double start, count_from, stop;
    struct client clients[CLIENTS_MAX];
};

double bench_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void count(struct client *c, double seconds)
{
    double bucket = seconds * 1e6 * PER_US;

    c->calls++;
    c->buckets[bucket < BUCKETS - 1 ? (size_t)bucket : BUCKETS - 1]++;
}

static void run_client(const struct bench_side *side, void *config,
                       struct shared *s, unsigned i)
{
    struct client *c = &s->clients[i];
    uint64_t n = (uint64_t)i << 40;
    void *client = side->open(config);

    if (!client) {
        atomic_store(&s->failed, true);
        _exit(1);
    }
    atomic_fetch_add(&s->ready, 1);
    while (atomic_load(&s->start) == 0)
        usleep(200);

    for (;;) {
        double from = bench_now();
        int bad;
        double to;

        if (from >= s->stop)
            break;
        bad = side->call(client, n++);
        to = bench_now();
        if (bad)
            c->errors++;
        else if (from >= s->count_from && to <= s->stop)
            count(c, to - from);
    }
    _exit(0);
}

static double percentile(const struct shared *s, unsigned clients, double p)
{
    uint64_t all = 0, seen = 0;

    for (unsigned i = 0; i < clients; i++)
        all += s->clients[i].calls;
    for (size_t b = 0; b < BUCKETS; b++) {
        for (unsigned i = 0; i < clients; i++)
            seen += s->clients[i].buckets[b];
        if ((double)seen >= (double)all * p)
            return (double)b / PER_US;
    }
    return 0;
}

static void fork_clients(const struct bench_side *side, void *config,
                         struct shared *s, unsigned clients)
{
    for (unsigned i = 0; i < clients; i++) {
        unsigned before = atomic_load(&s->ready);
        pid_t pid = fork();

        if (pid < 0) {
            perror("fork");
            exit(1);
        }
        if (pid == 0)
            run_client(side, config, s, i);
        /* One after the other: SoftHSM2 fails at simultaneous logins. */
        while (atomic_load(&s->ready) == before) {
            if (atomic_load(&s->failed)) {
                fprintf(stderr, "a client could not start\n");
                exit(1);
            }
            usleep(1000);
        }
    }
}

void bench_run(const struct bench_side *side, void *config, unsigned clients,
               double warm_s, double run_s, struct bench_result *ret)
{
    struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t calls = 0;
    double now;

    if (s == MAP_FAILED || clients > CLIENTS_MAX) {
        fprintf(stderr, "bench: no memory for %u clients\n", clients);
        exit(1);
    }
    fork_clients(side, config, s, clients);
    now = bench_now();
    s->count_from = now + warm_s;
    s->stop = now + warm_s + run_s;
    atomic_store(&s->start, now);
    while (wait(NULL) > 0)
        ;

    *ret = (struct bench_result){ 0 };
    for (unsigned i = 0; i < clients; i++) {
        calls += s->clients[i].calls;
        ret->errors += s->clients[i].errors;
    }
    ret->ops = (double)calls / run_s;
    ret->p50_us = percentile(s, clients, 0.5);
    ret->p99_us = percentile(s, clients, 0.99);
    (void)munmap(s, sizeof(*s));
}
