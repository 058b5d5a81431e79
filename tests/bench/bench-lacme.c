/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * bench-lacme SOCKET URL CLIENTS SECONDS
 *
 * The client's side of lacme-accountd's protocol: greeting, then signing input
 * and signature, a line each. It serves one connection at a time, so each
 * request here is a connection, greeting included, as soon as there are several
 * clients.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <sodium.h>

#include "tests/bench/bench.h"

struct config {
    const char *path, *url;
    int keep; /* one client: the connection is kept */
};

struct client {
    const struct config *config;
    FILE *f;
};

static FILE *dial(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char line[4096];
    FILE *f;

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return NULL;
    f = fdopen(fd, "r+");
    /* The greeting and the key. */
    if (!f || !fgets(line, sizeof(line), f) || !fgets(line, sizeof(line), f))
        return NULL;
    return f;
}

static void *open_client(void *config)
{
    struct client *c = calloc(1, sizeof(*c));

    if (c)
        c->config = config;
    return c;
}

static void b64(char *out, size_t size, const char *text)
{
    (void)sodium_bin2base64(out, size, (const unsigned char *)text,
                            strlen(text),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static int sign(void *client, uint64_t n)
{
    struct client *c = client;
    char text[512], protected[1024], payload[1024], answer[2048];
    int ok;

    if (!c->f)
        c->f = dial(c->config->path);
    if (!c->f)
        return 1;
    (void)snprintf(text, sizeof(text),
                   "{\"alg\":\"RS256\",\"kid\":\"%s/acct/1\",\"nonce\":"
                   "\"bm9uY2Ux%012llx\",\"url\":\"%s/order\"}",
                   c->config->url, (unsigned long long)n, c->config->url);
    b64(protected, sizeof(protected), text);
    b64(payload, sizeof(payload),
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.lab.example\"},"
        "{\"type\":\"dns\",\"value\":\"api.lab.example\"}]}");
    ok = fprintf(c->f, "%s.%s\r\n", protected, payload) > 0 &&
         fflush(c->f) == 0 && fgets(answer, sizeof(answer), c->f) &&
         strlen(answer) > 300;
    if (!ok || !c->config->keep) {
        (void)fclose(c->f);
        c->f = NULL;
    }
    return !ok;
}

int main(int argc, char **argv)
{
    const struct bench_side side = { open_client, sign };
    struct config config;
    struct bench_result r;

    if (argc != 5) {
        fprintf(stderr, "usage: bench-lacme SOCKET URL CLIENTS SECONDS\n");
        return 64;
    }
    config = (struct config){ argv[1], argv[2], atoi(argv[3]) == 1 };
    bench_run(&side, &config, (unsigned)atoi(argv[3]), 0.3, atof(argv[4]), &r);
    printf("{\"ops\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%llu}\n",
           r.ops, r.p50_us, r.p99_us, (unsigned long long)r.errors);
    return r.errors ? 1 : 0;
}
