/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The line protocol of lacme-accountd: a real connection to the daemon's own
 * code, over an audit log and a token that only remember (tests/unit/daemon).
 * Nothing is signed that was not written, and nothing that a second reading of
 * the line would not allow.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acme/b64url.h"
#include "daemon/decide.h"
#include "daemon/lacme-conn.h"
#include "daemon/quota.h"
#include "daemon/sha256.h"
#include "fuzz-account.h"
#include "fuzz-socket.h"
#include "fuzz.h"
#include "tests/unit/daemon/fakes.h"

static struct {
    struct guardian g;
    struct account account;
    struct account *accounts[1];
} f;

static char label[] = "pre:0badcafe:test:1";
static int an_audit_log, a_token; /* only their addresses are used */

static void load_policy(void)
{
    char text[256];
    struct errmsg e;

    (void)snprintf(text, sizeof(text),
                   "[Client]\nUser=%u\n[Allow]\nAccount=test\n"
                   "Domain=example.com www.example.com\n"
                   "Subdomains=apps.example.com\nOperations=order finalize "
                   "challenge fetch lookup replace revoke\n"
                   "OrdersPerDay=1000000\n",
                   (unsigned)getuid());
    MUST(policy_load_text(bytes_from_str(text), "fuzz.policy", NULL,
                          &f.g.policy, &e) == 0);
}

static void start(void)
{
    static struct settings settings = { .connections_per_user = 64 };

    if (f.g.event)
        return;
    f.account.row.acme = *fuzz_account(false);
    f.account.row.status = ACCOUNT_VALID;
    f.account.row.key_label = label;
    f.account.token = (struct token *)&a_token;
    f.accounts[0] = &f.account;
    f.g.settings = &settings;
    f.g.options.use_peerpidfd = true;
    f.g.accounts = (struct accounts){ f.accounts, 1 };
    f.g.audit = (struct audit *)&an_audit_log;
    f.g.audit_tried_ms = UINT64_MAX / 2; /* not opened again */
    names_init(&f.g.names, &policy_names_nss, names_now_ms);
    MUST(sd_event_new(&f.g.event) >= 0);
    MUST(sha256_new(&f.g.sha256) == 0);
    MUST(lacme_new(&f.g, &f.g.lacme) == 0);
    load_policy();
    /* A peer connects past it: it lets no more than 1000 a second in. */
    MUST(lacme_listen(f.g.lacme, fuzz_listen(SOCK_STREAM), "test", "test") ==
         0);
}

static int connect_peer(void)
{
    int fds[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                    fds) == 0);
    MUST(lacme_conn_new(f.g.lacme->listeners, fds[0]) == 0);
    return fds[1];
}

/* Would this line be signed? */
static bool is_request(struct bytes line)
{
    struct acme_request *request = NULL;
    struct bytes header, payload;
    struct refusal refusal;

    if (lacme_split_line(line, &header, &payload))
        return false;
    MUST(header.len + 1 + payload.len == line.len && header.len > 0);
    if (acme_request_read(fuzz_account(false), header, payload, &request,
                          &refusal))
        return false;
    acme_request_free(request);
    return true;
}

static unsigned requests_in(struct bytes rest)
{
    unsigned n = 0;
    const uint8_t *end;

    while (rest.len > 0 && (end = memchr(rest.data, '\n', rest.len))) {
        size_t len = (size_t)(end - rest.data);

        if (len == 0 || rest.data[len - 1] != '\r' ||
            !is_request((struct bytes){ rest.data, len - 1 }))
            break;
        n++;
        rest = (struct bytes){ end + 1, rest.len - len - 1 };
    }
    return n;
}

/* The greeting, the key, then a signature for each line. */
static unsigned signatures_in(struct bytes rest)
{
    unsigned n = 0;
    const uint8_t *end;

    while (rest.len > 0) {
        CLEANUP_BUF struct buf signature = { 0 };
        size_t len;

        end = memchr(rest.data, '\n', rest.len);
        MUST(end && end > rest.data && end[-1] == '\r');
        len = (size_t)(end - rest.data);
        if (n >= 2)
            MUST(b64url_decode((struct bytes){ rest.data, len - 1 }, &signature,
                               NULL) == 0 &&
                 signature.len == 64);
        n++;
        rest = (struct bytes){ end + 1, rest.len - len - 1 };
    }
    MUST(n >= 2);
    return n - 2;
}

static void join(struct bytes input, struct buf *ret)
{
    for (size_t i = 0; i < input.len; i++) {
        if (input.data[i] != 1)
            MUST(buf_append(ret, &input.data[i], 1) == 0);
    }
}

/* Lines of plain text, "HEADER PAYLOAD", are sent as base64url; others as they
 * are. */
static void encode(struct bytes rest, struct buf *ret)
{
    while (rest.len > 0) {
        struct bytes line = fuzz_line(&rest);
        struct bytes header = line;
        const uint8_t *tab =
            line.len ? memchr(line.data, '\t', line.len) : NULL;

        if (!tab) {
            MUST(buf_append(ret, line.data, line.len) == 0 &&
                 buf_append_char(ret, '\n') == 0);
            continue;
        }
        header.len = (size_t)(tab - line.data);
        MUST(b64url_encode(header, ret) == 0);
        MUST(buf_append_char(ret, '.') == 0);
        MUST(b64url_encode((struct bytes){ tab + 1, line.len - header.len - 1 },
                           ret) == 0);
        MUST(buf_append_str(ret, "\r\n") == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_BUF struct buf input = { 0 };
    CLEANUP_BUF struct buf octets = { 0 };
    CLEANUP_BUF struct buf answers = { 0 };
    unsigned n;

    start();
    fakes_reset();
    f.g.grants = (struct grant_limit){ .per_minute = 1000000 };
    quota_free(f.g.quota);
    MUST(quota_new(&f.g.quota) == 0);
    encode((struct bytes){ data, size }, &input);
    join(buf_bytes(&input), &octets);
    fuzz_talk(f.g.event, connect_peer(), buf_bytes(&input), &answers);
    n = signatures_in(buf_bytes(&answers));
    MUST(n == fakes.asked && n <= fakes.lines);
    MUST(n <= requests_in(buf_bytes(&octets)));
    MUST(lacme_connections(f.g.lacme) == 0);
    return 0;
}
