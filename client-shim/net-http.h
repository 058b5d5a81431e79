/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/net-answer.h"

/*
 * HTTP requests, in the network child. TLS 1.2 or later with verification, no
 * redirects, at most NET_BODY_MAX octets, one deadline for each. Connections
 * stay open between requests. Proxies are those of the environment
 * (HTTPS_PROXY, https_proxy, NO_PROXY), with CONNECT, so that TLS is still
 * the CA's own; plain http, which only goes to a loopback address, uses none.
 */

struct net_request {
    uint32_t kind;
    uint32_t body_len;
    uint32_t allow_http;
    uint32_t system_roots; /* not those of the options */
    uint32_t fresh;        /* on a connection of its own, and sent once */
    uint32_t reserved;
    char url[ACME_URL_MAX + 1];
    char body[NET_JWS_MAX];
};

struct net_http_options {
    const struct buf *ca_pem; /* the only roots, borrowed; NULL: the system's */
    unsigned timeout_s;
};

struct net_http;

/* net_http_new() - @options are borrowed until net_http_free().
 * Return: 0; -EIO; -ENOMEM. */
int net_http_new(const struct net_http_options *options,
                 struct net_http **ret) MUST_CHECK;
struct net_http *net_http_free(struct net_http *h);
DEFINE_CLEANUP(struct net_http *, net_http_free)
#define CLEANUP_NET_HTTP CLEANUP(net_http_free_p)

/* net_http_perform() - always fills in @ret. */
void net_http_perform(struct net_http *h, const struct net_request *request,
                      struct net_answer *ret);
