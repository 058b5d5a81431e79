/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

/* A newOrder of two names, as a client composes it: base64url. */
struct bench_request {
    char protected[1024];
    char payload[1024];
};

static inline void bench_b64(char *out, size_t size, const char *text)
{
    (void)sodium_bin2base64(out, size, (const unsigned char *)text,
                            strlen(text),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* @n: makes the nonce */
static inline void bench_request_make(struct bench_request *r, const char *url,
                                      const char *alg, uint64_t n)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "{\"alg\":\"%s\",\"kid\":\"%s/acct/1\",\"nonce\":"
                   "\"bm9uY2VfYmVuY2g%016llx\",\"url\":\"%s/acme/new-order\"}",
                   alg, url, (unsigned long long)n, url);
    bench_b64(r->protected, sizeof(r->protected), text);
    bench_b64(r->payload, sizeof(r->payload),
              "{\"identifiers\":[{\"type\":\"dns\",\"value\":"
              "\"www.lab.example\"},{\"type\":\"dns\",\"value\":"
              "\"api.lab.example\"}]}");
}
