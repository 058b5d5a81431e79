/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One policy decision (a newOrder of two names) among 10 and among 100,000
 * names, in turns, and the time to load both files. Prints
 *
 *     {"10":{"ns":N,"again_ns":N,"load_ms":N},"100000":{...}}
 *
 * with medians. The names asked for are drawn from the whole set, so that the
 * larger one pays for the caches that it does not fit into; again_ns is for the
 * same names at once again, when what they need is near.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/policy.h"

#define BATCH 256 /* decisions between two looks at the clock */
#define ROUNDS 1000
#define LOADS 5

/* A request as it comes from the reader: just made, so near. */
struct order {
    struct acme_request request;
    struct identifier identifiers[2];
    char text[2][80];
};

struct bench {
    unsigned n_names;
    struct policy_set *set;
    struct order orders[BATCH];
    double load_ms[LOADS];
    double ns[ROUNDS];
    double again_ns[ROUNDS];
};

static void die(const char *what)
{
    (void)fprintf(stderr, "bench-policy: %s\n", what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 2];
}

/* Three of five names in Domain=, one each in Subdomains= and Wildcard=. */
static const char *key_of(unsigned i)
{
    return i % 5 < 3 ? "Domain" : i % 5 == 3 ? "Subdomains" : "Wildcard";
}

static void name_of(char *ret, size_t size, unsigned i)
{
    /* All of one length: hashing a longer one takes longer. */
    (void)snprintf(ret, size, "host%05u.site%03u.example.com", i, i % 977);
}

static void write_policy(const char *path, unsigned n)
{
    FILE *f = fopen(path, "we");

    if (!f)
        die(path);
    (void)fputs("[Client]\nUser=1000\n[Allow]\nAccount=test\n", f);
    for (unsigned i = 0; i < n; i++) {
        char name[64];

        name_of(name, sizeof(name), i);
        (void)fprintf(f, "%s=%s\n", key_of(i), name);
    }
    if (fclose(f) != 0)
        die(path);
}

static void load(struct bench *b)
{
    char dir[] = "/tmp/bench-policy-XXXXXX";
    char path[64];
    struct errmsg e = { 0 };

    if (!mkdtemp(dir))
        die(dir);
    (void)snprintf(path, sizeof(path), "%s/bench.policy", dir);
    write_policy(path, b->n_names);
    for (size_t i = 0; i < LOADS; i++) {
        double start = now_ns();

        b->set = policy_set_free(b->set);
        if (policy_load(dir, NULL, &b->set, &e))
            die(e.text);
        b->load_ms[i] = (now_ns() - start) / 1e6;
    }
    (void)unlink(path);
    (void)rmdir(dir);
}

static void make_orders(struct bench *b)
{
    static const char *const before[] = { "", "", "", "www.", "*." };

    for (size_t i = 0; i < BATCH; i++) {
        struct order *o = &b->orders[i];

        for (size_t k = 0; k < 2; k++) {
            unsigned number = (unsigned)random() % b->n_names;
            char name[64];

            name_of(name, sizeof(name), number);
            (void)snprintf(o->text[k], sizeof(o->text[k]), "%s%s",
                           before[number % 5], name);
            o->identifiers[k] = (struct identifier){ .type = IDENTIFIER_DNS,
                                                     .value = o->text[k] };
        }
        o->request =
            (struct acme_request){ .op = ACME_OP_ORDER,
                                   .identifiers = { o->identifiers, 2 } };
    }
}

static double decide(const struct bench *b)
{
    char name[] = "test";
    const struct acme_account account = { .name = name };
    const struct policy_caller caller = { .uid = 1000 };
    double start = now_ns();

    for (size_t i = 0; i < BATCH; i++) {
        struct policy_verdict v = { 0 };

        if (policy_eval(b->set, &caller, &policy_names_nss, &account,
                        &b->orders[i].request, NULL, NULL, &v) ||
            !v.allowed)
            die("a name of the set is not allowed");
    }
    return (now_ns() - start) / BATCH;
}

static void measure(struct bench *b, size_t round)
{
    make_orders(b);
    b->ns[round] = decide(b);
    b->again_ns[round] = decide(b);
}

static void print(struct bench *b, const char *around)
{
    (void)printf("%s\"%u\":{\"ns\":%.1f,\"again_ns\":%.1f,"
                 "\"load_ms\":%.2f}",
                 around, b->n_names, median(b->ns, ROUNDS),
                 median(b->again_ns, ROUNDS), median(b->load_ms, LOADS));
}

int main(void)
{
    static struct bench few = { .n_names = 10 };
    static struct bench many = { .n_names = 100000 };

    srandom(1);
    load(&few);
    load(&many);
    for (size_t i = 0; i < ROUNDS; i++) {
        measure(&few, i);
        measure(&many, i);
    }
    print(&few, "{");
    print(&many, ",");
    (void)puts("}");
    policy_set_free(few.set);
    policy_set_free(many.set);
    return 0;
}
