/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * bench-provider SOCKET STUB CA-URL SECONDS
 *
 * The request of bench-guardian by one process that signs it in turn through
 * libacme-guardian and through OpenSSL with the provider that its configuration
 * names. Prints the median of each: what else the host does meets both alike.
 */
#include <stdlib.h>

#include <acme-guardian.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "tests/bench/bench-request.h"
#include "tests/bench/bench.h"

#define PAIRS_MAX 200000

struct sides {
    struct guardian *guardian;
    EVP_PKEY *key;
    const char *url;
    uint64_t n;
};

static EVP_PKEY *load(const char *path)
{
    FILE *f = fopen(path, "re");
    EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

    if (f)
        (void)fclose(f);
    return key;
}

static int by_library(struct sides *s)
{
    struct bench_request r;
    struct guardian_jws *jws = NULL;
    int e;

    bench_request_make(&r, s->url, "ES256", s->n++);
    e = guardian_sign_input(
        s->guardian,
        &(struct guardian_sign_input){ .account = "bench",
                                       .protected_ = r.protected,
                                       .payload = r.payload },
        &jws, NULL);
    if (e)
        fprintf(stderr, "sign: %s\n", guardian_strerror(e));
    guardian_jws_free(jws);
    return e;
}

static int by_provider(struct sides *s)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct bench_request r;
    unsigned char sig[1024];
    size_t len = sizeof(sig);
    int good;

    bench_request_make(&r, s->url, "ES256", s->n++);
    good = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, s->key) == 1 &&
           EVP_DigestSignUpdate(ctx, r.protected, strlen(r.protected)) == 1 &&
           EVP_DigestSignUpdate(ctx, ".", 1) == 1 &&
           EVP_DigestSignUpdate(ctx, r.payload, strlen(r.payload)) == 1 &&
           EVP_DigestSignFinal(ctx, sig, &len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!good)
        ERR_print_errors_fp(stderr);
    return !good;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare);
    return values[n / 2];
}

static int run(struct sides *s, double seconds)
{
    static double library[PAIRS_MAX], provider[PAIRS_MAX];
    double end = bench_now() + seconds;
    size_t n = 0;

    /* Both are connected, and neither pays for what is done once. */
    if (by_library(s) || by_provider(s))
        return 1;
    while (n < PAIRS_MAX && (n == 0 || bench_now() < end)) {
        double start = bench_now(), between;

        if (by_library(s))
            return 1;
        between = bench_now();
        if (by_provider(s))
            return 1;
        library[n] = between - start;
        provider[n++] = bench_now() - between;
    }
    printf("{\"library_us\":%.1f,\"provider_us\":%.1f,\"pairs\":%zu}\n",
           median(library, n) * 1e6, median(provider, n) * 1e6, n);
    return 0;
}

int main(int argc, char **argv)
{
    struct sides s = { 0 };
    int status;

    if (argc != 5) {
        fprintf(stderr, "usage: bench-provider SOCKET STUB CA-URL SECONDS\n");
        return 64;
    }
    s.url = argv[3];
    s.key = load(argv[2]);
    if (!s.key || guardian_new(argv[1], &s.guardian)) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    status = run(&s, atof(argv[4]));
    EVP_PKEY_free(s.key);
    guardian_free(s.guardian);
    return status;
}
