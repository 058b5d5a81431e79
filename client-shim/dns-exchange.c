/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "client-shim/dns-message.h"

static void finish(struct dns_exchange *e, enum dns_exchange_state state)
{
    if (e->fd >= 0)
        close(TAKE_FD(e->fd));
    e->state = state;
}

static void fail(struct dns_exchange *e, enum dns_status status,
                 const char *text)
{
    e->status = status;
    (void)snprintf(e->text, sizeof(e->text), "%s", text);
    finish(e, DNS_EXCHANGE_FAILED);
}

const struct dns_server *dns_exchange_server(const struct dns_exchange *e)
{
    return &e->servers[e->n_try % e->n_servers];
}

static socklen_t address_of(const struct dns_server *s,
                            struct sockaddr_storage *ret)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET,
                              .sin_port = htons(s->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                               .sin6_port = htons(s->port),
                               .sin6_scope_id = s->scope };

    memcpy(&v4.sin_addr, s->addr, sizeof(v4.sin_addr));
    memcpy(&v6.sin6_addr, s->addr, sizeof(v6.sin6_addr));
    if (s->family == AF_INET)
        memcpy(ret, &v4, sizeof(v4));
    else
        memcpy(ret, &v6, sizeof(v6));
    return s->family == AF_INET ? sizeof(v4) : sizeof(v6);
}

/* A socket of its own for every question: the kernel gives each a port that
 * nobody can guess, and takes only what comes from the server. */
static int open_connected(struct dns_exchange *e, int type)
{
    struct sockaddr_storage to = { 0 };
    socklen_t len = address_of(dns_exchange_server(e), &to);

    if (e->fd >= 0)
        close(TAKE_FD(e->fd));
    e->fd = socket((int)dns_exchange_server(e)->family,
                   type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (e->fd < 0)
        return -errno;
    if (connect(e->fd, (const struct sockaddr *)&to, len) < 0 &&
        errno != EINPROGRESS)
        return -errno;
    return 0;
}

static void start_tcp(struct dns_exchange *e, int64_t now_ms)
{
    int r;

    e->tcp = true;
    e->connected = false;
    e->n_done = 0;
    e->deadline_ms = now_ms + e->options->tcp_ms;
    e->events = POLLOUT;
    buf_clear(&e->got);
    r = open_connected(e, SOCK_STREAM);
    if (r)
        fail(e, DNS_UNREACHABLE, strerror(-r));
}

static void try_udp(struct dns_exchange *e, int64_t now_ms)
{
    int r = open_connected(e, SOCK_DGRAM);

    e->deadline_ms = now_ms + e->options->try_ms;
    e->events = POLLIN;
    if (r == 0 && send(e->fd, e->wire.data, e->wire.len, MSG_NOSIGNAL) < 0)
        r = -errno;
    if (r == 0)
        return;
    /* Another of the resolvers may be there. */
    if (++e->n_try < e->n_servers)
        try_udp(e, now_ms);
    else
        fail(e, DNS_UNREACHABLE, strerror(-r));
}

int dns_exchange_start(struct dns_exchange *e, int64_t now_ms)
{
    int r = buf_reserve(&e->got, DNS_MESSAGE_MAX + 2);

    if (r)
        return r;
    e->state = DNS_EXCHANGE_RUNS;
    e->n_try = 0;
    e->fd = -1;
    e->sent = false;
    buf_clear(&e->got);
    if (e->n_servers == 0)
        fail(e, DNS_UNREACHABLE, "/etc/resolv.conf names no server");
    else if (e->tcp)
        start_tcp(e, now_ms);
    else
        try_udp(e, now_ms);
    return 0;
}

static void next_try(struct dns_exchange *e, int64_t now_ms)
{
    if (++e->n_try >= e->options->n_tries)
        fail(e, DNS_TIMEOUT, "");
    else
        try_udp(e, now_ms);
}

static void read_udp(struct dns_exchange *e, int64_t now_ms)
{
    ssize_t n = recv(e->fd, e->got.data, DNS_MESSAGE_MAX, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 && e->n_servers > 1 && e->n_try + 1 < e->options->n_tries) {
        next_try(e, now_ms);
        return;
    }
    if (n < 0) {
        fail(e, DNS_UNREACHABLE, strerror(errno));
        return;
    }
    e->got.len = (size_t)n;
    /* What is no answer to us is nobody's word: go on waiting. */
    if (!dns_message_answers(buf_bytes(&e->got), buf_bytes(&e->wire)))
        return;
    if (dns_message_truncated(buf_bytes(&e->got)))
        start_tcp(e, now_ms);
    else
        finish(e, DNS_EXCHANGE_DONE);
}

static void tcp_error(struct dns_exchange *e, int error)
{
    if (error != EAGAIN && error != EINTR)
        fail(e, DNS_UNREACHABLE, strerror(error));
}

static void connected(struct dns_exchange *e)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error)
        tcp_error(e, error);
    else
        e->connected = true;
}

/* A message stands after its length (RFC 1035 section 4.2.2). */
static void write_tcp(struct dns_exchange *e)
{
    uint8_t head[2] = { (uint8_t)(e->wire.len >> 8), (uint8_t)e->wire.len };
    size_t all = sizeof(head) + e->wire.len;
    size_t body = e->n_done > sizeof(head) ? e->n_done - sizeof(head) : 0;
    size_t skip = e->n_done < sizeof(head) ? e->n_done : sizeof(head);
    struct iovec parts[] = {
        { head + skip, sizeof(head) - skip },
        { e->wire.data + body, e->wire.len - body },
    };
    struct msghdr m = { .msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts) };
    ssize_t n = sendmsg(e->fd, &m, MSG_NOSIGNAL);

    if (n < 0) {
        tcp_error(e, errno);
        return;
    }
    e->n_done += (size_t)n;
    if (e->n_done < all)
        return;
    e->sent = true;
    e->n_done = 0;
    e->events = POLLIN;
}

static void read_tcp(struct dns_exchange *e)
{
    bool head = e->n_done < 2;
    size_t want = 2;
    ssize_t n;

    if (!head)
        want += (size_t)e->got.data[0] << 8 | e->got.data[1];
    n = recv(e->fd, e->got.data + e->n_done, want - e->n_done, 0);
    if (n < 0) {
        tcp_error(e, errno);
        return;
    }
    e->n_done += (size_t)n;
    if (n == 0)
        fail(e, DNS_UNREACHABLE, "the server closed the connection");
    else if (head && e->n_done == 2 && e->got.data[0] == 0 &&
             e->got.data[1] < DNS_MESSAGE_HEADER)
        fail(e, DNS_MALFORMED, "shorter than a header");
    if (head || e->n_done < want || e->state != DNS_EXCHANGE_RUNS)
        return;
    memmove(e->got.data, e->got.data + 2, want - 2);
    e->got.len = want - 2;
    if (dns_message_answers(buf_bytes(&e->got), buf_bytes(&e->wire)))
        finish(e, DNS_EXCHANGE_DONE);
    else
        fail(e, DNS_MALFORMED, "an answer to another question");
}

void dns_exchange_step(struct dns_exchange *e, short revents, int64_t now_ms)
{
    if (revents && !e->tcp)
        read_udp(e, now_ms);
    else if (revents && !e->connected)
        connected(e);
    else if (revents && (e->events & POLLOUT))
        write_tcp(e);
    else if (revents)
        read_tcp(e);
    /* Also when something came: who sends without an end is not waited for. */
    if (e->state != DNS_EXCHANGE_RUNS || now_ms < e->deadline_ms)
        return;
    if (e->tcp)
        fail(e, DNS_TIMEOUT, "");
    else
        next_try(e, now_ms);
}

void dns_exchange_reset(struct dns_exchange *e)
{
    if (e->state != DNS_EXCHANGE_UNSET && e->fd >= 0)
        close(e->fd);
    buf_deinit(&e->wire);
    buf_deinit(&e->got);
    *e = (struct dns_exchange){ .fd = -1 };
}
