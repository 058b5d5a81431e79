/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <resolv.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "client-shim/dns-child-serve.h"
#include "client-shim/dns-wire.h"
#include "client-shim/net-confine.h"

/* The child keeps its own deadlines; ours ends one that does not. */
#define GRACE_MS 10000

struct dns_child {
    int fd;
    pid_t pid;
    struct dns_child_options options;
    uint32_t last_id;
    uint32_t under_way[DNS_CHILD_IN_FLIGHT]; /* ids; 0: free */
    size_t n_under_way;
    uint8_t *packet;
    struct buf out;
};

/* In glibc's own reading of the file: IPv4 servers in one list, IPv6 ones in
 * another at the same places. */
static size_t resolvers(struct dns_server ret[static DNS_RESOLVERS_MAX])
{
    struct __res_state state = { 0 };
    size_t n = 0;

    if (res_ninit(&state) < 0)
        return 0;
    for (int i = 0; i < state.nscount && n < DNS_RESOLVERS_MAX; i++) {
        const struct sockaddr_in *v4 = &state.nsaddr_list[i];
        const struct sockaddr_in6 *v6 = state._u._ext.nsaddrs[i];
        struct dns_server s = { .port = DNS_PORT };

        if (v4->sin_family == AF_INET) {
            s.family = AF_INET;
            memcpy(s.addr, &v4->sin_addr, sizeof(v4->sin_addr));
        } else if (v6) {
            s.family = AF_INET6;
            s.scope = v6->sin6_scope_id;
            memcpy(s.addr, &v6->sin6_addr, sizeof(v6->sin6_addr));
        }
        if (s.family)
            ret[n++] = s;
    }
    res_nclose(&state);
    return n;
}

_Noreturn static void child_main(int fd,
                                 const struct dns_child_options *options)
{
    struct dns_server servers[DNS_RESOLVERS_MAX] = { 0 };
    size_t n = resolvers(servers);
    /* Whoever started us with 0, 1 or 2 closed: not in their place. */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (high < 0 || net_confine(high))
        _exit(1);
    _exit(dns_child_serve(high, options, servers, n));
}

static int fork_child(struct dns_child *c)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    c->pid = fork();
    if (c->pid == 0)
        child_main(pair[1], &c->options);
    c->fd = pair[0];
    close(pair[1]);
    return c->pid < 0 ? -EAGAIN : 0;
}

int dns_child_start(const struct dns_child_options *options,
                    struct dns_child **ret)
{
    CLEANUP_DNS_CHILD struct dns_child *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return -ENOMEM;
    *c = (struct dns_child){ .fd = -1 };
    if (options)
        c->options = *options;
    if (c->options.try_ms == 0)
        c->options.try_ms = 2000;
    if (c->options.n_tries == 0)
        c->options.n_tries = 3;
    if (c->options.tcp_ms == 0)
        c->options.tcp_ms = 10000;
    c->packet = malloc(DNS_ANSWER_MAX + 1024);
    if (!c->packet)
        return -ENOMEM;
    r = net_confine_starter();
    if (r == 0)
        r = fork_child(c);
    if (r)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

struct dns_child *dns_child_free(struct dns_child *c)
{
    if (!c)
        return NULL;
    if (c->fd >= 0)
        close(c->fd);
    if (c->pid > 0) {
        (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
    }
    free(c->packet);
    buf_deinit(&c->out);
    free(c);
    return NULL;
}

static int send_packet(struct dns_child *c, const void *data, size_t len)
{
    if (send(c->fd, data, len, MSG_NOSIGNAL) >= 0)
        return 0;
    return errno == EPIPE || errno == ECONNRESET ? -EPROTO : -errno;
}

static uint32_t next_id(struct dns_child *c)
{
    if (++c->last_id == 0)
        c->last_id = 1;
    return c->last_id;
}

static void remember(struct dns_child *c, uint32_t id)
{
    c->under_way[c->n_under_way++] = id;
}

static bool forget(struct dns_child *c, uint32_t id)
{
    for (size_t i = 0; i < c->n_under_way; i++) {
        if (c->under_way[i] != id)
            continue;
        c->under_way[i] = c->under_way[--c->n_under_way];
        return true;
    }
    return false;
}

/* Lower case and printable, or the child takes us for somebody else. */
static bool name_ok(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > DNS_NAME_TEXT_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (name[i] <= ' ' || name[i] > '~' ||
            (name[i] >= 'A' && name[i] <= 'Z'))
            return false;
    }
    return true;
}

int dns_child_send(struct dns_child *c, const struct dns_query *q,
                   uint32_t *ret_id)
{
    uint32_t id;
    int r;

    if (c->n_under_way == ARRAY_LEN(c->under_way))
        return -EAGAIN;
    if (!name_ok(q->name))
        return -EINVAL;
    id = next_id(c);
    buf_clear(&c->out);
    r = dns_wire_put_query(&c->out, id, q);
    if (r == 0)
        r = send_packet(c, c->out.data, c->out.len);
    if (r)
        return r;
    remember(c, id);
    *ret_id = id;
    return 0;
}

/* The longest that an exchange may take: all tries, then TCP, and for a server
 * without EDNS once more. */
static int patience_ms(const struct dns_child *c)
{
    return (
        int)(2 * (c->options.try_ms * c->options.n_tries + c->options.tcp_ms) +
             GRACE_MS);
}

static int receive(struct dns_child *c, struct bytes *ret)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    ssize_t n;
    int r;

    do
        r = poll(&p, 1, patience_ms(c));
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    n = recv(c->fd, c->packet, DNS_ANSWER_MAX + 1024, MSG_TRUNC);
    if (n <= 0 || n > DNS_ANSWER_MAX + 1024)
        return -EPROTO;
    *ret = (struct bytes){ c->packet, (size_t)n };
    return 0;
}

int dns_child_receive(struct dns_child *c, uint32_t *ret_id,
                      struct dns_answer *ret)
{
    CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
    struct bytes packet = { 0 };
    uint32_t id = 0;
    int r;

    if (c->n_under_way == 0)
        return -ENOENT;
    r = receive(c, &packet);
    if (r == 0)
        r = dns_wire_read_answer(packet, &id, &a);
    if (r)
        return r == DNS_WIRE_E_INVALID ? -EPROTO : r;
    if (!forget(c, id))
        return -EPROTO;
    *ret_id = id;
    *ret = a;
    a = (struct dns_answer){ 0 };
    return 0;
}

int dns_child_query(struct dns_child *c, const struct dns_query *q,
                    struct dns_answer *ret)
{
    uint32_t id = 0;
    uint32_t answered = 0;
    int r;

    if (c->n_under_way > 0)
        return -EBUSY;
    r = dns_child_send(c, q, &id);
    return r ? r : dns_child_receive(c, &answered, ret);
}

static int send_key(struct dns_child *c, const struct secret *key)
{
    struct dns_wire_key k = { .kind = DNS_WIRE_KEY };
    CLEANUP_WIPE(wipe, k);

    if (key->len < 1 || key->len > sizeof(k.key))
        return -EINVAL;
    k.len = (uint32_t)key->len;
    memcpy(k.key, key->data, key->len);
    return send_packet(c, &k, sizeof(k));
}

static bool update_ok(const struct dns_update *u)
{
    bool ok = u->server.family && name_ok(u->zone) && name_ok(u->key_name) &&
              name_ok(u->algorithm) && u->n_changes > 0 &&
              u->n_changes <= DNS_UPDATE_MAX;

    for (size_t i = 0; ok && i < u->n_changes; i++)
        ok = name_ok(u->changes[i].owner) && dns_txt_ok(u->changes[i].rdata);
    return ok;
}

/* A result that is too large was not sent to any server. */
static int result_of(struct dns_child *c, uint32_t id,
                     struct dns_update_result *ret)
{
    struct bytes packet = { 0 };
    uint32_t got = 0;
    int r = receive(c, &packet);

    if (r == 0)
        r = dns_wire_read_result(packet, &got, ret);
    if (r)
        return r == DNS_WIRE_E_INVALID ? -EPROTO : r;
    if (got != id)
        return -EPROTO;
    return ret->status == DNS_TOO_LARGE ? -E2BIG : 0;
}

int dns_child_update(struct dns_child *c, const struct dns_update *u,
                     struct dns_update_result *ret)
{
    uint32_t id;
    int r;

    if (c->n_under_way > 0)
        return -EBUSY;
    if (!update_ok(u))
        return -EINVAL;
    id = next_id(c);
    buf_clear(&c->out);
    r = dns_wire_put_update(&c->out, id, u);
    if (r == 0)
        r = send_key(c, u->key);
    if (r == 0)
        r = send_packet(c, c->out.data, c->out.len);
    return r ? r : result_of(c, id, ret);
}
