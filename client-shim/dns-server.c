/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Digits only, no leading zero, 1 to 65535. */
static bool port_parse(const char *text, uint16_t *ret)
{
    size_t n = strlen(text);
    unsigned long port;

    if (n < 1 || n > 5 || strspn(text, "0123456789") != n || text[0] == '0')
        return false;
    port = strtoul(text, NULL, 10);
    *ret = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* Cuts @copy where the address ends; *ret_port is NULL where none follows. */
static bool split(char *copy, const char **ret_port)
{
    char *colon = strchr(copy, ':');
    char *end;

    *ret_port = NULL;
    if (copy[0] == '[') {
        end = strchr(copy, ']');
        if (!end || (end[1] != ':' && end[1] != '\0'))
            return false;
        *ret_port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
        return true;
    }
    /* More than one: an IPv6 address without a port. */
    if (!colon || strchr(colon + 1, ':'))
        return true;
    *colon = '\0';
    *ret_port = colon + 1;
    return true;
}

int dns_server_parse(const char *text, struct dns_server *ret)
{
    struct dns_server s = { .port = DNS_PORT };
    char copy[DNS_SERVER_TEXT_MAX + 1];
    const char *port;
    bool brackets = text[0] == '[';

    if (strlen(text) >= sizeof(copy))
        return DNS_SERVER_E_INVALID;
    (void)snprintf(copy, sizeof(copy), "%s", text);
    if (!split(copy, &port) || (port && !port_parse(port, &s.port)))
        return DNS_SERVER_E_INVALID;
    if (!brackets && inet_pton(AF_INET, copy, s.addr) == 1)
        s.family = AF_INET;
    else if (inet_pton(AF_INET6, copy + brackets, s.addr) == 1)
        s.family = AF_INET6;
    else
        return DNS_SERVER_E_INVALID;
    *ret = s;
    return 0;
}

void dns_server_format(const struct dns_server *s,
                       char ret[static DNS_SERVER_TEXT_MAX])
{
    char addr[INET6_ADDRSTRLEN] = "";
    char scope[12] = "";
    bool v6 = s->family == AF_INET6;

    if (s->family == 0 ||
        !inet_ntop((int)s->family, s->addr, addr, sizeof(addr)))
        (void)snprintf(addr, sizeof(addr), "none");
    if (s->scope)
        (void)snprintf(scope, sizeof(scope), "%%%u", s->scope);
    if (s->family == 0 || s->port == DNS_PORT)
        (void)snprintf(ret, DNS_SERVER_TEXT_MAX, "%s%s", addr, scope);
    else
        (void)snprintf(ret, DNS_SERVER_TEXT_MAX, v6 ? "[%s%s]:%u" : "%s%s:%u",
                       addr, scope, s->port);
}

bool dns_server_local(const struct dns_server *s)
{
    static const uint8_t v6[16] = { [15] = 1 };

    if (s->family == AF_INET)
        return s->addr[0] == 127;
    return s->family == AF_INET6 && memcmp(s->addr, v6, sizeof(v6)) == 0;
}

bool dns_server_eq(const struct dns_server *a, const struct dns_server *b)
{
    return a->family == b->family && a->port == b->port &&
           a->scope == b->scope &&
           memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}
