/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/lacme.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/lacme-conn.h"

static int lacme_on_accept(sd_event_source *s, int fd, uint32_t revents,
                           void *userdata)
{
    const struct lacme_listener *ll = userdata;
    struct guardian *g = ll->lacme->guardian;
    CLEANUP_FD int conn = -1;

    (void)s;
    (void)revents;
    conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (conn < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED &&
            log_limit_take(&g->log_denied, g->event))
            log_msg(LOG_WARNING, "lacme socket %s: cannot accept: %s",
                    ll->instance, strerror(errno));
        return 0;
    }
    if (lacme_conn_new(ll, conn) == 0)
        (void)TAKE_FD(conn);
    return 0;
}

int lacme_new(struct guardian *g, struct lacme **ret)
{
    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    (*ret)->guardian = g;
    return 0;
}

static struct lacme_listener *listener_free(struct lacme_listener *ll)
{
    sd_event_source_disable_unref(ll->source);
    if (ll->fd >= 0)
        close(ll->fd);
    free(ll->instance);
    free(ll->account);
    free(ll);
    return NULL;
}

int lacme_listen(struct lacme *l, int fd, const char *instance,
                 const char *account)
{
    struct lacme_listener *ll = calloc(1, sizeof(*ll));
    int r = -ENOMEM;

    if (!ll)
        return -ENOMEM;
    *ll = (struct lacme_listener){ .lacme = l,
                                   .fd = -1,
                                   .instance = strdup(instance),
                                   .account = strdup(account) };
    if (ll->instance && ll->account)
        r = sd_event_add_io(l->guardian->event, &ll->source, fd, EPOLLIN,
                            lacme_on_accept, ll);
    /* Without descriptors accept fails at once, again and again. */
    if (r >= 0)
        r = sd_event_source_set_ratelimit(ll->source, 1000000, 1000);
    if (r < 0) {
        listener_free(ll);
        return r;
    }
    ll->fd = fd;
    ll->next = l->listeners;
    l->listeners = ll;
    return 0;
}

static void lacme_close_listeners(struct lacme *l)
{
    while (l->listeners) {
        struct lacme_listener *ll = l->listeners;

        l->listeners = ll->next;
        listener_free(ll);
    }
}

void lacme_stop(struct lacme *l)
{
    struct lacme_conn *next;

    l->stopping = true;
    for (struct lacme_conn *c = l->conns; c; c = next) {
        next = c->next;
        if (!c->busy)
            lacme_conn_free(c);
    }
    for (struct lacme_listener *ll = l->listeners; ll; ll = ll->next)
        ll->source = sd_event_source_disable_unref(ll->source);
}

size_t lacme_pending(const struct lacme *l)
{
    size_t n = 0;

    for (const struct lacme_conn *c = l->conns; c; c = c->next)
        n += c->busy;
    return n;
}

size_t lacme_connections(const struct lacme *l)
{
    size_t n = 0;

    for (const struct lacme_conn *c = l->conns; c; c = c->next)
        n++;
    return n;
}

size_t lacme_connections_of(const struct lacme *l, const struct account *a)
{
    size_t n = 0;

    for (const struct lacme_conn *c = l ? l->conns : NULL; c; c = c->next)
        n += c->account == a && !c->hold;
    return n;
}

struct lacme *lacme_free(struct lacme *l)
{
    if (!l)
        return NULL;
    while (l->conns)
        lacme_conn_free(l->conns);
    lacme_close_listeners(l);
    free(l);
    return NULL;
}
