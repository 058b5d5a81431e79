/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-child.h"

/*
 * One message to a server and one back, without waiting: UDP with further
 * tries, and TCP where that is asked for or the answer is cut. In the DNS
 * child.
 */

enum dns_exchange_state {
    DNS_EXCHANGE_UNSET = 0,
    DNS_EXCHANGE_RUNS,
    DNS_EXCHANGE_DONE,   /* @got has a message with our id and question */
    DNS_EXCHANGE_FAILED, /* @status and @text say how */
};

struct dns_exchange {
    /* In: set before dns_exchange_start(). */
    const struct dns_child_options *options; /* complete */
    const struct dns_server *servers;        /* borrowed */
    size_t n_servers;
    bool tcp;        /* from the beginning */
    struct buf wire; /* the request; owned */
    /* Out */
    struct buf got;
    enum dns_status status;
    char text[DNS_TEXT_MAX + 1];
    bool sent; /* over TCP: all of the request has left */
    /* Its own */
    enum dns_exchange_state state;
    unsigned n_try;
    int fd;
    short events; /* what poll() shall wait for */
    int64_t deadline_ms;
    bool connected;
    size_t n_done;
};

/* dns_exchange_server() - the one that was asked last, and answered if any has.
 */
const struct dns_server *dns_exchange_server(const struct dns_exchange *e);

/* dns_exchange_start() - Return: 0; -ENOMEM. A failure to send is a state. */
int dns_exchange_start(struct dns_exchange *e, int64_t now_ms) MUST_CHECK;

/* dns_exchange_step() - after poll(), with what it said, or 0. */
void dns_exchange_step(struct dns_exchange *e, short revents, int64_t now_ms);

/* dns_exchange_reset() - closed and empty, and may be used again. */
void dns_exchange_reset(struct dns_exchange *e);
