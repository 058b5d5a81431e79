/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-engine.h"

#include <errno.h>
#include <search.h>
#include <string.h>

/* gcc 12 does not see that a tree of tsearch(3) keeps what it is given, and
 * calls it lost. Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct dns_engine_server {
    struct dns_server server; /* the key */
    unsigned n_silent;
};

static int compare(const void *a, const void *b)
{
    const struct dns_engine_server *x = a;
    const struct dns_engine_server *y = b;

    return memcmp(&x->server, &y->server, sizeof(x->server));
}

static int server_get(struct dns_engine *e, const struct dns_server *server,
                      struct dns_engine_server **ret)
{
    struct dns_engine_server *s = calloc(1, sizeof(*s));
    struct dns_engine_server **found;

    if (!s)
        return -ENOMEM;
    s->server = *server;
    found = tsearch(s, &e->servers, compare);
    if (!found || *found != s)
        free(s);
    if (!found)
        return -ENOMEM;
    *ret = *found;
    return 0;
}

static int grow(struct dns_engine *e)
{
    size_t cap = e->cap ? e->cap * 2 : DNS_CHILD_IN_FLIGHT;
    struct dns_engine_entry *more = calloc(cap, sizeof(*more));

    if (!more)
        return -ENOMEM;
    for (size_t i = 0; i < e->n; i++)
        more[i] = e->queue[(e->first + i) % e->cap];
    free(e->queue);
    e->queue = more;
    e->cap = cap;
    e->first = 0;
    return 0;
}

int dns_engine_ask(struct dns_engine *e, const struct dns_query *q,
                   dns_engine_fn fn, void *userdata)
{
    struct dns_engine_entry x = { .query = *q, .fn = fn, .userdata = userdata };
    int r = e->n == e->cap ? grow(e) : 0;

    if (r == 0)
        r = server_get(e, &q->server, &x.server);
    if (r == 0)
        e->queue[(e->first + e->n++) % e->cap] = x;
    return r;
}

/* A name that cannot be asked for is an answer, too. */
static int answer_invalid(const struct dns_engine_entry *x)
{
    const struct dns_answer a = { .status = DNS_MALFORMED,
                                  .text = "no name of the DNS" };

    return x->fn(&a, x->userdata);
}

static int answer_silence(const struct dns_engine_entry *x)
{
    const struct dns_answer a = { .status = DNS_TIMEOUT };

    return x->fn(&a, x->userdata);
}

static int send_one(struct dns_engine *e, struct dns_engine_entry *x)
{
    unsigned patience =
        x->query.recurse ? DNS_CHILD_IN_FLIGHT : DNS_ENGINE_SILENCE;
    int r;

    if (x->server->n_silent >= patience)
        return answer_silence(x);
    r = dns_child_send(e->child, &x->query, &x->id);
    if (r == -EINVAL)
        return answer_invalid(x);
    if (r == 0)
        e->sent[e->n_sent++] = *x;
    return r;
}

static int send_all(struct dns_engine *e)
{
    int r = 0;

    while (r == 0 && e->n > 0 && e->n_sent < DNS_CHILD_IN_FLIGHT) {
        struct dns_engine_entry x = e->queue[e->first];

        e->first = (e->first + 1) % e->cap;
        e->n--;
        r = send_one(e, &x);
    }
    return r;
}

static int receive_one(struct dns_engine *e)
{
    CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
    struct dns_engine_entry x;
    uint32_t id = 0;
    size_t i = 0;
    int r = dns_child_receive(e->child, &id, &a);

    if (r)
        return r;
    while (i < e->n_sent && e->sent[i].id != id)
        i++;
    if (i == e->n_sent)
        return -EPROTO;
    x = e->sent[i];
    e->sent[i] = e->sent[--e->n_sent];
    x.server->n_silent = a.status == DNS_TIMEOUT ? x.server->n_silent + 1 : 0;
    return x.fn(&a, x.userdata);
}

int dns_engine_run(struct dns_engine *e)
{
    int r = send_all(e);

    while (r == 0 && e->n_sent > 0) {
        r = receive_one(e);
        if (r == 0)
            r = send_all(e);
    }
    return r;
}

void dns_engine_deinit(struct dns_engine *e)
{
    free(e->queue);
    tdestroy(e->servers, free);
    *e = (struct dns_engine){ 0 };
}
