/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-site.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"

/* gcc 12 does not see that an array in a site keeps its names, and calls it
 * lost. Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct dns_site_waiter {
    dns_site_fn fn;
    void *userdata;
};

/* Whose addresses are asked for. */
struct dns_site_ask {
    struct dns_site *site;
    struct dns_site_server *server;
};

static int compare(const void *a, const void *b)
{
    const struct dns_site *x = a;
    const struct dns_site *y = b;
    int r = strcmp(x->zone, y->zone);

    if (r == 0)
        r = memcmp(&x->resolver, &y->resolver, sizeof(x->resolver));
    if (r == 0 && x->file != y->file)
        r = x->file < y->file ? -1 : 1;
    return r;
}

static void site_free(void *p)
{
    struct dns_site *site = p;

    if (!site)
        return;
    for (size_t i = 0; i < site->n_servers; i++)
        free(site->servers[i].name);
    free(site->servers);
    free(site->waiters);
    free(site->asks);
    free(site->zone);
    free(site);
}
DEFINE_CLEANUP(struct dns_site *, site_free)

void dns_sites_deinit(struct dns_sites *s)
{
    tdestroy(s->root, site_free);
    s->root = NULL;
}

int dns_site_get(struct dns_sites *s, const char *zone, const struct zone *file,
                 const struct dns_server *resolver, struct dns_site **ret)
{
    CLEANUP(site_free_p) struct dns_site *site = calloc(1, sizeof(*site));
    struct dns_site **found;

    if (!site)
        return -ENOMEM;
    site->file = file;
    site->resolver = *resolver;
    site->engine = s->engine;
    site->zone = strdup(zone);
    if (!site->zone)
        return -ENOMEM;
    found = tsearch(site, &s->root, compare);
    if (!found)
        return -ENOMEM;
    *ret = *found;
    if (*found == site)
        site = NULL;
    return 0;
}

static int add_server(struct dns_site *site, const char *name,
                      const struct dns_server *address)
{
    struct dns_site_server *more =
        array_grown(site->servers, site->n_servers, sizeof(*more));

    if (!more)
        return -ENOMEM;
    site->servers = more;
    more += site->n_servers;
    *more = (struct dns_site_server){ 0 };
    if (address)
        more->addresses[more->n_addresses++] = *address;
    if (name) {
        more->name = strdup(name);
        if (!more->name)
            return -ENOMEM;
    }
    site->n_servers++;
    return 0;
}

static int ready(struct dns_site *site)
{
    int r = 0;

    site->ready = true;
    for (size_t i = 0; r == 0 && i < site->n_waiters; i++)
        r = site->waiters[i].fn(site, site->waiters[i].userdata);
    site->n_waiters = 0;
    return r;
}

static void take_addresses(struct dns_site_server *s,
                           const struct dns_answer *a)
{
    for (size_t i = 0; i < a->n_rrs; i++) {
        const struct dns_rr *rr = &a->rrs[i];

        if (rr->authority || !rr->server.family ||
            s->n_addresses == DNS_SITE_ADDRESSES_MAX)
            continue;
        s->addresses[s->n_addresses++] = rr->server;
    }
}

static int on_address(const struct dns_answer *a, void *userdata)
{
    struct dns_site_ask *ask = userdata;

    take_addresses(ask->server, a);
    return --ask->site->n_pending == 0 ? ready(ask->site) : 0;
}

static int ask_address(struct dns_site_ask *ask, enum dns_type type)
{
    struct dns_site *site = ask->site;
    struct dns_query q = { .server = site->resolver,
                           .name = ask->server->name,
                           .type = type,
                           .recurse = true };

    site->n_pending++;
    return dns_engine_ask(site->engine, &q, on_address, ask);
}

static int ask_addresses(struct dns_site *site)
{
    int r = 0;

    site->asks = calloc(site->n_servers, sizeof(*site->asks));
    if (!site->asks)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < site->n_servers; i++) {
        site->asks[i] = (struct dns_site_ask){ site, &site->servers[i] };
        r = ask_address(&site->asks[i], DNS_TYPE_A);
        if (r == 0)
            r = ask_address(&site->asks[i], DNS_TYPE_AAAA);
    }
    return r;
}

static int take_servers(struct dns_site *site, const struct dns_answer *a)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < a->n_rrs; i++) {
        const struct dns_rr *rr = &a->rrs[i];

        if (rr->type == DNS_TYPE_NS && !rr->authority &&
            strcmp(rr->owner, site->zone) == 0 &&
            site->n_servers < ZONE_SERVERS_MAX)
            r = add_server(site, rr->name, NULL);
    }
    return r;
}

/* Nobody can be asked who its servers are. */
static int no_servers(struct dns_site *site, const struct dns_answer *a)
{
    char space[16];

    if (a->status != DNS_OK)
        (void)snprintf(site->text, sizeof(site->text), "NS of %.100s: %s",
                       site->zone, dns_status_words(a->status));
    else if (a->rcode != DNS_RCODE_NOERROR && a->rcode != DNS_RCODE_NXDOMAIN)
        (void)snprintf(site->text, sizeof(site->text),
                       "NS of %.100s: the resolver answers %s", site->zone,
                       dns_rcode_name(a->rcode, space));
    return ready(site);
}

static int on_servers(const struct dns_answer *a, void *userdata)
{
    struct dns_site *site = userdata;
    int r = a->status == DNS_OK ? take_servers(site, a) : 0;

    if (r)
        return r;
    site->is_zone = site->n_servers > 0;
    return site->is_zone ? ask_addresses(site) : no_servers(site, a);
}

static int begin(struct dns_site *site)
{
    const struct dns_query q = { .server = site->resolver,
                                 .name = site->zone,
                                 .type = DNS_TYPE_NS,
                                 .recurse = true };
    const struct zone *file = site->file;
    int r = 0;

    site->asked = true;
    if (!file || file->n_servers == 0)
        return dns_engine_ask(site->engine, &q, on_servers, site);
    site->is_zone = true;
    for (size_t i = 0; r == 0 && i < file->n_servers; i++)
        r = add_server(site, NULL, &file->servers[i]);
    return r ? r : ready(site);
}

int dns_site_need(struct dns_site *site, dns_site_fn fn, void *userdata)
{
    struct dns_site_waiter *more;

    if (site->ready)
        return fn(site, userdata);
    more = array_grown(site->waiters, site->n_waiters, sizeof(*more));
    if (!more)
        return -ENOMEM;
    site->waiters = more;
    more[site->n_waiters++] = (struct dns_site_waiter){ fn, userdata };
    return site->asked ? 0 : begin(site);
}
