/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sign-load ACCOUNT URL CLIENTS: has POST-as-GETs of URL signed, as fast as
 * they are answered, until SIGTERM.
 *
 * Every other client makes a new handle, and so a new connection, for each
 * request. The last line is "N requests, N failed, the longest took N ms";
 * each failure is a line of its own before it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <acme-guardian.h>

#define CLIENTS_MAX 64

static atomic_bool ending;

struct client {
    pthread_t thread;
    const struct guardian_sign_request *request;
    bool keeps_handle;
    unsigned long n_requests, n_failed;
    int64_t longest_ms;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void complain(const struct guardian_error *e, int code)
{
    printf("failed: %s: %s\n", guardian_strerror(code),
           e && e->detail ? e->detail : "-");
}

static void ask_once(struct client *c, struct guardian *g)
{
    struct guardian_jws *jws = NULL;
    struct guardian_error *e = NULL;
    int64_t start = now_ms();
    int r;

    r = guardian_sign(g, c->request, &jws, &e);
    c->n_requests++;
    if (r != GUARDIAN_OK || jws->signature[0] == 0) {
        c->n_failed++;
        complain(e, r);
    }
    if (now_ms() - start > c->longest_ms)
        c->longest_ms = now_ms() - start;
    guardian_jws_free(jws);
    guardian_error_free(e);
}

static void *client_run(void *arg)
{
    struct client *c = arg;
    struct guardian *g = NULL;

    while (!ending) {
        if (!g && guardian_new(NULL, &g) != GUARDIAN_OK)
            abort();
        ask_once(c, g);
        if (!c->keeps_handle) {
            guardian_free(g);
            g = NULL;
        }
    }
    guardian_free(g);
    return NULL;
}

static int run(struct client *clients, size_t n, const sigset_t *end)
{
    struct client sum = { 0 };
    int signal_number;

    for (size_t i = 0; i < n; i++) {
        if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]))
            return 1;
    }
    if (sigwait(end, &signal_number) != 0)
        return 1;
    ending = true;
    for (size_t i = 0; i < n; i++) {
        if (pthread_join(clients[i].thread, NULL) != 0)
            return 1;
        sum.n_requests += clients[i].n_requests;
        sum.n_failed += clients[i].n_failed;
        if (clients[i].longest_ms > sum.longest_ms)
            sum.longest_ms = clients[i].longest_ms;
    }
    printf("%lu requests, %lu failed, the longest took %lld ms\n",
           sum.n_requests, sum.n_failed, (long long)sum.longest_ms);
    return sum.n_failed > 0;
}

int main(int argc, char **argv)
{
    static struct client clients[CLIENTS_MAX];
    struct guardian_sign_request request = { .nonce = "bm9uY2U" };
    size_t n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    sigset_t end;

    if (n < 1 || n > CLIENTS_MAX) {
        fputs("usage: sign-load ACCOUNT URL CLIENTS\n", stderr);
        return 64;
    }
    request.account = argv[1];
    request.url = argv[2];
    for (size_t i = 0; i < n; i++)
        clients[i] =
            (struct client){ .request = &request, .keeps_handle = i % 2 == 0 };
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)sigemptyset(&end);
    (void)sigaddset(&end, SIGTERM);
    if (pthread_sigmask(SIG_BLOCK, &end, NULL) != 0)
        return 1;
    return run(clients, n, &end);
}
