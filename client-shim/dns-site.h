/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-engine.h"
#include "client-shim/dns-lookup.h"

/*
 * A zone and its servers: as its file names them, or as its NS records and
 * their addresses say, asked of a resolver once. A name that is no zone is a
 * site without servers.
 */

#define DNS_SITE_ADDRESSES_MAX 8

struct dns_site_server {
    char *name; /* of NS; NULL: an address of Servers= */
    struct dns_server addresses[DNS_SITE_ADDRESSES_MAX];
    size_t n_addresses;
};

struct dns_site;

/* dns_site_fn - the site is ready. Return: 0; negative errno. */
typedef int (*dns_site_fn)(struct dns_site *site, void *userdata);

struct dns_site {
    /* The key. */
    char *zone;
    const struct zone *file;    /* or NULL */
    struct dns_server resolver; /* family 0: the system's */
    /* When it is ready. */
    bool is_zone;
    struct dns_site_server *servers;
    size_t n_servers;
    char text[DNS_TEXT_MAX + 1]; /* why there are no servers, or empty */
    /* Until then. */
    struct dns_engine *engine;
    bool asked, ready;
    struct dns_site_ask *asks; /* for the addresses of each server */
    size_t n_pending;
    struct dns_site_waiter *waiters;
    size_t n_waiters;
};

/* All of them, for dns-lookup.c: a tree of tsearch(3). */
struct dns_sites {
    void *root;
    struct dns_engine *engine;
};

/**
 * dns_site_get() - the one of this zone, made when it is new
 * @file: its zone file, which names servers and resolver; NULL: none
 */
int dns_site_get(struct dns_sites *s, const char *zone, const struct zone *file,
                 const struct dns_server *resolver,
                 struct dns_site **ret) MUST_CHECK;

/* dns_site_need() - calls @fn when it is ready, now or from
 * dns_engine_run(). */
int dns_site_need(struct dns_site *site, dns_site_fn fn,
                  void *userdata) MUST_CHECK;

void dns_sites_deinit(struct dns_sites *s);
