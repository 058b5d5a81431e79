/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/net-answer.h"

/*
 * One HTTP request, in the network child. TLS 1.2 or later with verification,
 * no redirects, at most NET_BODY_MAX octets, one deadline for the whole.
 */

struct net_http_options {
    const struct buf *ca_pem; /* the only roots, borrowed; NULL: the system's */
    unsigned timeout_s;
};

/* Once per process, before the first request. Return: 0; -EIO. */
int net_http_init(void) MUST_CHECK;

/* net_http_perform() - always fills in @ret. */
void net_http_perform(const struct net_http_options *options,
                      const struct net_request *request,
                      struct net_answer *ret);
