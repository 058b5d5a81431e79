/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-child.h"

/*
 * Many questions, of which the DNS child gets as many at once as it takes. A
 * server that left DNS_ENGINE_SILENCE questions in a row without an answer gets
 * no more: they are answered here, with DNS_TIMEOUT. A resolver is given as
 * many as there can be at once, since it may be others that keep it waiting.
 */
#define DNS_ENGINE_SILENCE 3

/* dns_engine_fn - @a is lent for this call. Return: 0; negative errno, which
 * ends dns_engine_run(). It may ask more. */
typedef int (*dns_engine_fn)(const struct dns_answer *a, void *userdata);

struct dns_engine_entry {
    struct dns_query query;
    dns_engine_fn fn;
    void *userdata;
    uint32_t id;
    struct dns_engine_server *server;
};

struct dns_engine {
    struct dns_child *child; /* borrowed */
    /* To be sent: a ring of those from @first on. */
    struct dns_engine_entry *queue;
    size_t first, n, cap;
    struct dns_engine_entry sent[DNS_CHILD_IN_FLIGHT];
    size_t n_sent;
    void *servers; /* what is known of each: a tree of tsearch(3) */
};

/* dns_engine_ask() - @q's name stays valid until @fn was called. */
int dns_engine_ask(struct dns_engine *e, const struct dns_query *q,
                   dns_engine_fn fn, void *userdata) MUST_CHECK;

/* dns_engine_run() - until all is answered. Return: 0; negative errno. */
int dns_engine_run(struct dns_engine *e) MUST_CHECK;

void dns_engine_deinit(struct dns_engine *e);
