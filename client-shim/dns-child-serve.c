/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One loop over the parent's socket and those of up to DNS_CHILD_IN_FLIGHT
 * exchanges. An update is alone: while it is under way nothing is read from the
 * parent, so that its names may stay in the message that brought them.
 */
#include "client-shim/dns-child-serve.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "client-shim/dns-exchange.h"
#include "client-shim/dns-message.h"
#include "client-shim/dns-wire.h"
#include "client-shim/net-answer.h"

/* One question under way. */
struct slot {
    uint32_t id; /* 0: free */
    struct dns_exchange e;
    struct dns_query query;
    char name[DNS_NAME_TEXT_MAX + 1];
    bool edns;
    bool update;
};

struct server {
    int fd;
    const struct dns_child_options *options;
    const struct dns_server *resolvers;
    size_t n_resolvers;
    struct slot *slots;
    size_t n_busy;
    uint8_t *message; /* from the parent */
    struct dns_wire_request request;
    struct secret *key; /* of the update to come */
    struct dns_message_mac mac;
    bool updates; /* one is under way */
    struct buf out;
};

static int64_t now_ms(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_text(char to[static DNS_TEXT_MAX + 1], const char *text)
{
    net_text(to, DNS_TEXT_MAX, text, strlen(text));
}

static int reply(struct server *s)
{
    ssize_t n = send(s->fd, s->out.data, s->out.len, MSG_NOSIGNAL);

    return n == (ssize_t)s->out.len ? 0 : -EPIPE;
}

static void slot_release(struct server *s, struct slot *slot)
{
    dns_exchange_reset(&slot->e);
    slot->id = 0;
    s->n_busy--;
}

static int random_id(uint16_t *ret)
{
    return getrandom(ret, sizeof(*ret), 0) == sizeof(*ret) ? 0 : -EIO;
}

static int start_query(struct server *s, struct slot *slot)
{
    struct dns_exchange *e = &slot->e;
    bool given = slot->query.server.family != 0;
    uint16_t id = 0;
    int r = random_id(&id);

    dns_exchange_reset(e);
    e->options = s->options;
    e->servers = given ? &slot->query.server : s->resolvers;
    e->n_servers = given ? 1 : s->n_resolvers;
    if (r == 0)
        r = dns_message_put_query(&slot->query, id, slot->edns, &e->wire);
    return r ? r : dns_exchange_start(e, now_ms());
}

static struct slot *slot_take(struct server *s, uint32_t id)
{
    for (size_t i = 0; i < DNS_CHILD_IN_FLIGHT; i++) {
        struct slot *slot = &s->slots[i];

        if (slot->id)
            continue;
        slot->id = id;
        slot->update = false;
        s->n_busy++;
        return slot;
    }
    return NULL;
}

static int answer_failure(struct server *s, const struct slot *slot,
                          enum dns_status status, const char *text)
{
    struct dns_answer a = { .status = status };
    struct dns_wire_writer w = { 0 };
    int r;

    buf_clear(&s->out);
    set_text(a.text, text);
    r = dns_wire_put_answer(&s->out, slot->id, &a, &w);
    return r ? r : reply(s);
}

static int take_query(struct server *s)
{
    struct slot *slot = slot_take(s, s->request.id);
    int r;

    if (!slot)
        return -EPROTO;
    slot->query = s->request.query;
    net_text(slot->name, DNS_NAME_TEXT_MAX, s->request.query.name,
             strlen(s->request.query.name));
    slot->query.name = slot->name;
    slot->edns = true;
    r = start_query(s, slot);
    if (r != -EINVAL)
        return r;
    r = answer_failure(s, slot, DNS_MALFORMED, "no name of the DNS");
    slot_release(s, slot);
    return r;
}

static int answer_result(struct server *s, uint32_t id,
                         const struct dns_update_result *result)
{
    int r;

    s->key = secret_free(s->key);
    s->updates = false;
    buf_clear(&s->out);
    r = dns_wire_put_result(&s->out, id, result);
    return r ? r : reply(s);
}

/* -E2BIG and -EINVAL are the caller's to hear: he asked for it. */
static int refuse_update(struct server *s, int error)
{
    struct dns_update_result result = {
        .status = error == -E2BIG ? DNS_TOO_LARGE : DNS_MALFORMED,
    };

    if (error != -E2BIG && error != -EINVAL)
        return error;
    set_text(result.text, error == -E2BIG
                              ? "does not fit into a message"
                              : "cannot be signed, or has no names of the DNS");
    return answer_result(s, s->request.id, &result);
}

static int start_update(struct server *s, struct slot *slot)
{
    struct dns_update *u = &s->request.update;
    struct dns_exchange *e = &slot->e;
    uint16_t id = 0;
    int r = random_id(&id);

    dns_exchange_reset(e);
    e->options = s->options;
    e->servers = &u->server;
    e->n_servers = 1;
    e->tcp = true;
    if (r == 0)
        r = dns_message_put_update(u, id, &e->wire, &s->mac);
    return r ? r : dns_exchange_start(e, now_ms());
}

static int take_update(struct server *s)
{
    struct slot *slot =
        s->n_busy == 0 && s->key ? slot_take(s, s->request.id) : NULL;
    int r;

    if (!slot)
        return -EPROTO;
    slot->update = true;
    s->updates = true;
    s->request.update.key = s->key;
    r = start_update(s, slot);
    if (r == 0)
        return 0;
    slot_release(s, slot);
    return refuse_update(s, r);
}

static int take_key(struct server *s, size_t len)
{
    const struct dns_wire_key *k = (const void *)s->message;
    struct bytes key = { k->key, k->len };
    int r;

    if (len != sizeof(*k) || k->len < 1 || k->len > sizeof(k->key))
        return -EPROTO;
    s->key = secret_free(s->key);
    /* ldns keeps copies of keys in plain memory while it signs: free() shall
     * overwrite them. */
    (void)mallopt(M_PERTURB, 0xa5);
    r = secret_new_copy(key, &s->key);
    sodium_memzero(s->message, sizeof(*k));
    return r;
}

/* Return: 0; -EPIPE: the parent has gone. */
static int take_request(struct server *s)
{
    ssize_t n = recv(s->fd, s->message, DNS_WIRE_REQUEST_MAX, 0);
    struct bytes message = { s->message, n > 0 ? (size_t)n : 0 };
    uint32_t kind = DNS_WIRE_UNSET;

    if (n < (ssize_t)sizeof(kind))
        return -EPIPE;
    memcpy(&kind, s->message, sizeof(kind));
    if (kind == DNS_WIRE_KEY)
        return take_key(s, (size_t)n);
    if (!dns_wire_read_request(message, &s->request))
        return -EPROTO;
    return kind == DNS_WIRE_UPDATE ? take_update(s) : take_query(s);
}

static int answer_query(struct server *s, struct slot *slot)
{
    struct dns_exchange *e = &slot->e;
    unsigned rcode;
    int r;

    if (e->state == DNS_EXCHANGE_FAILED)
        return answer_failure(s, slot, e->status, e->text);
    rcode = dns_message_rcode(buf_bytes(&e->got));
    if (slot->edns &&
        (rcode == DNS_RCODE_FORMERR || rcode == DNS_RCODE_NOTIMP)) {
        /* A server from before EDNS (RFC 6891 section 7). */
        slot->edns = false;
        r = start_query(s, slot);
        if (r || e->state == DNS_EXCHANGE_RUNS)
            return r;
        return answer_failure(s, slot, e->status, e->text);
    }
    r = dns_message_read(buf_bytes(&e->got), slot->id,
                         dns_server_local(dns_exchange_server(e)), &s->out);
    return r ? r : reply(s);
}

static int answer_update(struct server *s, struct slot *slot)
{
    struct dns_exchange *e = &slot->e;
    struct dns_update_result result = { 0 };

    if (e->state == DNS_EXCHANGE_FAILED) {
        result = (struct dns_update_result){ .status = e->status,
                                             .unknown = e->sent };
        set_text(result.text,
                 e->text[0] ? e->text : dns_status_words(e->status));
    } else {
        dns_message_read_update(buf_bytes(&e->got), &s->request.update, &s->mac,
                                time(NULL), &result);
    }
    return answer_result(s, slot->id, &result);
}

static int step(struct server *s, struct slot *slot, short revents, int64_t now)
{
    int r;

    if (slot->e.state == DNS_EXCHANGE_RUNS)
        dns_exchange_step(&slot->e, revents, now);
    if (slot->e.state == DNS_EXCHANGE_RUNS)
        return 0;
    r = slot->update ? answer_update(s, slot) : answer_query(s, slot);
    if (r || slot->e.state != DNS_EXCHANGE_RUNS)
        slot_release(s, slot);
    return r;
}

static bool accepts(const struct server *s)
{
    return !s->updates && s->n_busy < DNS_CHILD_IN_FLIGHT;
}

/* Milliseconds until the first deadline; 0 for what has already ended. */
static int wait_ms(const struct server *s, int64_t now)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < DNS_CHILD_IN_FLIGHT; i++) {
        const struct slot *slot = &s->slots[i];

        if (slot->id && slot->e.state != DNS_EXCHANGE_RUNS)
            return 0;
        if (slot->id && slot->e.deadline_ms < first)
            first = slot->e.deadline_ms;
    }
    if (first == INT64_MAX)
        return -1;
    return first <= now ? 0 : (int)(first - now);
}

static int turn(struct server *s)
{
    struct pollfd fds[1 + DNS_CHILD_IN_FLIGHT];
    int64_t now = now_ms();
    int r = 0;

    fds[0] = (struct pollfd){ .fd = accepts(s) ? s->fd : -1, .events = POLLIN };
    for (size_t i = 0; i < DNS_CHILD_IN_FLIGHT; i++)
        fds[1 + i] =
            (struct pollfd){ .fd = s->slots[i].id ? s->slots[i].e.fd : -1,
                             .events = s->slots[i].e.events };
    if (poll(fds, ARRAY_LEN(fds), wait_ms(s, now)) < 0 && errno != EINTR)
        return -errno;
    now = now_ms();
    for (size_t i = 0; r == 0 && i < DNS_CHILD_IN_FLIGHT; i++) {
        if (s->slots[i].id)
            r = step(s, &s->slots[i], fds[1 + i].revents, now);
    }
    if (r == 0 && fds[0].revents)
        r = take_request(s);
    return r;
}

int dns_child_serve(int fd, const struct dns_child_options *options,
                    const struct dns_server *resolvers, size_t n_resolvers)
{
    struct server s = { .fd = fd,
                        .options = options,
                        .resolvers = resolvers,
                        .n_resolvers = n_resolvers };
    int r = 0;

    s.message = calloc(1, DNS_WIRE_REQUEST_MAX);
    s.slots = calloc(DNS_CHILD_IN_FLIGHT, sizeof(*s.slots));
    if (!s.message || !s.slots || sodium_init() < 0)
        return 1;
    for (size_t i = 0; i < DNS_CHILD_IN_FLIGHT; i++)
        dns_exchange_reset(&s.slots[i].e);
    while (r == 0)
        r = turn(&s);
    /* The process ends here, and with it all that it has. */
    secret_free(s.key);
    return r == -EPIPE ? 0 : 1;
}
