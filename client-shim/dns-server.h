/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/* Where a DNS server listens. Fixed size, no pointers: it goes to the child. */
struct dns_server {
    uint32_t family; /* AF_INET or AF_INET6; 0: none */
    uint16_t port;   /* in host order; never 0 where there is a family */
    uint16_t reserved;
    uint8_t addr[16]; /* the first 4 of AF_INET; the rest are zero */
    uint32_t scope;   /* the interface of a link-local address, or 0 */
};

/* "[" address "%" scope "]:" port, and the NUL. */
#define DNS_SERVER_TEXT_MAX 72
#define DNS_PORT 53

/**
 * dns_server_parse() - ADDRESS or ADDRESS:PORT, an IPv6 address with a port in
 * brackets; the port is DNS_PORT where none is given
 *
 * Return: 0; DNS_SERVER_E_INVALID.
 */
int dns_server_parse(const char *text, struct dns_server *ret) MUST_CHECK;
#define DNS_SERVER_E_INVALID 1

/* dns_server_format() - as dns_server_parse() takes it, but for a scope, which
 * only the system's resolvers have; the port is left out where it is DNS_PORT.
 */
void dns_server_format(const struct dns_server *s,
                       char ret[static DNS_SERVER_TEXT_MAX]);

/* dns_server_local() - on this host's loopback: nobody is on the way there. */
bool dns_server_local(const struct dns_server *s);

bool dns_server_eq(const struct dns_server *a, const struct dns_server *b);
