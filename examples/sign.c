/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sign URL NONCE [ACCOUNT] < PAYLOAD: the body of an ACME request on stdout.
 *
 *   cc sign.c $(pkg-config --cflags --libs acme-guardian)
 *
 * PAYLOAD is exact JSON text, or empty for a POST-as-GET.
 */
#include <stdio.h>
#include <stdlib.h>

#include <acme-guardian.h>

static int complain(const struct guardian_error *e, int code)
{
    fprintf(stderr, "sign: %s", guardian_strerror(code));
    if (e && e->reason)
        fprintf(stderr, ": %s", e->reason);
    if (e && e->identifier)
        fprintf(stderr, " (%s)", e->identifier);
    if (e && e->detail)
        fprintf(stderr, ": %s", e->detail);
    fputc('\n', stderr);
    /* Whether it may be tried again, and when, is told, too. */
    if (e && e->retry_after_ms >= 0)
        return 75;
    return code == GUARDIAN_E_POLICY_DENIED ? 1 : 2;
}

int main(int argc, char **argv)
{
    static char payload[64 * 1024];
    struct guardian *g = NULL;
    struct guardian_jws *jws = NULL;
    struct guardian_error *e = NULL;
    struct guardian_sign_request request = { 0 };
    size_t len;
    int r;

    if (argc < 3 || argc > 4) {
        fputs("usage: sign URL NONCE [ACCOUNT] < PAYLOAD\n", stderr);
        return 64;
    }
    len = fread(payload, 1, sizeof(payload) - 1, stdin);
    payload[len] = 0;
    request.url = argv[1];
    request.nonce = argv[2];
    request.account = argv[3];
    request.payload = payload;

    r = guardian_new(NULL, &g);
    if (r == GUARDIAN_OK)
        r = guardian_sign(g, &request, &jws, &e);
    r = r == GUARDIAN_OK ? puts(jws->json) == EOF : complain(e, r);
    guardian_jws_free(jws);
    guardian_error_free(e);
    guardian_free(g);
    return r;
}
