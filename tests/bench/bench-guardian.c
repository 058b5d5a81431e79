/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * bench-guardian SOCKET CA-URL ALG CLIENTS SECONDS
 * bench-guardian --cold SOCKET CA-URL ALG
 *
 * What an ACME client in C does: through libacme-guardian, a newOrder of two
 * names that it composed itself, each with another nonce. --cold prints the
 * time from connecting to the first signature.
 */
#include <stdlib.h>

#include <acme-guardian.h>

#include "tests/bench/bench-request.h"
#include "tests/bench/bench.h"

struct config {
    const char *socket, *url, *alg;
};

struct client {
    const struct config *config;
    struct guardian *guardian;
    int complained;
};

static void *open_client(void *config)
{
    struct client *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->config = config;
    return guardian_new(c->config->socket, &c->guardian) ? NULL : c;
}

static int sign(void *client, uint64_t n)
{
    struct client *c = client;
    struct guardian_jws *jws = NULL;
    struct guardian_error *error = NULL;
    struct bench_request request;
    const struct guardian_sign_input input = {
        .account = "bench",
        .protected_ = request.protected,
        .payload = request.payload,
    };
    int r;

    bench_request_make(&request, c->config->url, c->config->alg, n);
    r = guardian_sign_input(c->guardian, &input, &jws, &error);
    if (r && !c->complained)
        fprintf(stderr, "sign: %s: %s\n", guardian_strerror(r),
                error && error->reason ? error->reason : "");
    c->complained |= r != 0;
    guardian_error_free(error);
    guardian_jws_free(jws);
    return r;
}

static int cold(struct config *config)
{
    double start = bench_now();
    struct client *c = open_client(config);

    if (!c || sign(c, 1) != 0)
        return 1;
    printf("{\"ms\":%.2f}\n", (bench_now() - start) * 1e3);
    return 0;
}

int main(int argc, char **argv)
{
    const struct bench_side side = { open_client, sign };
    struct config config;
    struct bench_result r;

    if (argc == 5 && strcmp(argv[1], "--cold") == 0) {
        config = (struct config){ argv[2], argv[3], argv[4] };
        return cold(&config);
    }
    if (argc != 6) {
        fprintf(stderr, "usage: bench-guardian SOCKET CA-URL ALG CLIENTS "
                        "SECONDS\n");
        return 64;
    }
    config = (struct config){ argv[1], argv[2], argv[3] };
    bench_run(&side, &config, (unsigned)atoi(argv[4]), 0.3, atof(argv[5]), &r);
    printf("{\"ops\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%llu}\n",
           r.ops, r.p50_us, r.p99_us, (unsigned long long)r.errors);
    return r.errors ? 1 : 0;
}
