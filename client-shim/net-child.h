/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"
#include "client-shim/net-http.h"

/*
 * The process that talks to the CA (design section 3). It is forked before the
 * command connects to the daemon, keeps one descriptor, gives up its user
 * where that is root, and can open no Unix socket: who breaks into it through
 * an answer of the CA has no way to the daemon.
 */

struct net_child;

/**
 * net_child_start() - fork it
 * @options: the child's copy is made here; borrowed for this call
 *
 * Return: 0; negative errno.
 */
int net_child_start(const struct net_http_options *options,
                    struct net_child **ret) MUST_CHECK;

struct net_call {
    enum net_kind kind;
    const char *url;
    struct bytes body; /* of a kind that is a POST, else empty */
    bool allow_http;   /* to a loopback address */
    bool system_roots; /* though the options have roots of their own */
    bool fresh;        /* a connection of its own, and sent once at most */
};

/**
 * net_child_call() - one request, one answer
 *
 * Return: 0 with *ret, which passed net_answer_check(); -E2BIG when URL or body
 * do not fit; -EPROTO when the child sent something else or died; -ETIMEDOUT.
 */
int net_child_call(struct net_child *n, const struct net_call *call,
                   struct net_answer *ret) MUST_CHECK;

struct net_child *net_child_free(struct net_child *n);
DEFINE_CLEANUP(struct net_child *, net_child_free)
#define CLEANUP_NET_CHILD CLEANUP(net_child_free_p)
