/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-child.h"

#define DNS_RESOLVERS_MAX 3 /* of /etc/resolv.conf */

/**
 * dns_child_serve() - what the DNS child does until its parent is gone
 * @fd:        its one connection
 * @options:   complete
 * @resolvers: for queries without a server
 *
 * Return: the exit status.
 */
int dns_child_serve(int fd, const struct dns_child_options *options,
                    const struct dns_server *resolvers, size_t n_resolvers);
