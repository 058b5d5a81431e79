/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-daemon.h"
#include "client-shim/net-child.h"

/*
 * Three parties in one command: the operator's options, the daemon that
 * signs, and the CA behind the network child. Functions return exit codes as
 * in ctl-daemon.h.
 */

struct ctl_conversation {
    const struct ctl_context *context;
    const char *account; /* its name */
    struct ctl_daemon daemon;
    struct net_child *net;
    json_t *shown; /* AccountShow's answer */
    bool allow_http;
    char nonce[NET_NONCE_MAX + 1]; /* the next to spend, or empty */
    struct net_answer answer;      /* the last one */
};
#define CLEANUP_CTL_CONVERSATION CLEANUP(ctl_conversation_deinit)
void ctl_conversation_deinit(struct ctl_conversation *v);

/* ctl_conversation_open() - the network child first, then the daemon. Reads
 * --ca-file and --timeout of the command. */
int ctl_conversation_open(const struct ctl_context *c, const char *account,
                          struct ctl_conversation *ret) MUST_CHECK;

/* ctl_conversation_directory() - fetch it and let the daemon judge it. */
int ctl_conversation_directory(struct ctl_conversation *v) MUST_CHECK;

/**
 * ctl_conversation_post() - sign and send, again with a fresh nonce if the CA
 * wants another (RFC 8555 section 6.5), CTL_NONCE_TRIES times at most
 * @new_nonce: the CA's newNonce
 * @method:    of the daemon; its parameters are @parameters and the nonce
 * @parameters: borrowed
 *
 * CTL_EXIT_DONE: the CA answered 200 or 201; see v->answer.
 */
int ctl_conversation_post(struct ctl_conversation *v, const char *new_nonce,
                          const char *method, json_t *parameters) MUST_CHECK;
#define CTL_NONCE_TRIES 4

/* ctl_conversation_problem() - exit code and words for an answer of the CA that
 * is not a success. Pure. */
int ctl_conversation_problem(const struct net_answer *a,
                             enum ctl_exit *ret_code,
                             struct buf *words) MUST_CHECK;
