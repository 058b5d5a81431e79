/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-ca.h"

/*
 * Three parties in one command: the operator's options, the daemon that
 * signs, and the CA behind the network child. Functions return exit codes as
 * in ctl-daemon.h.
 */

struct ctl_registration;
struct outside_key;

struct ctl_conversation {
    const struct ctl_context *context;
    const char *account; /* its name */
    struct ctl_ca ca;
    struct ctl_daemon daemon;
    json_t *shown;                   /* AccountShow's answer */
    struct net_directory *directory; /* NULL until it was fetched */
    int waits; /* a rotation waits for somebody else: the command's code, and
                  that was said; 0: it does not */
    /* Of a rotation from or to a key that is here; borrowed, NULL: none. */
    const struct outside_key *outside;
    /* Of a rotation: orders are waited for so long; 0: as long as it takes. */
    unsigned drain_max_s;
    bool now; /* of a rotation: in no window, too */
    /* Of a move to another account; borrowed, NULL: none. */
    const struct ctl_registration *registration;
};
#define CLEANUP_CTL_CONVERSATION CLEANUP(ctl_conversation_deinit)
void ctl_conversation_deinit(struct ctl_conversation *v);

/* ctl_conversation_open() - the network child first, then the daemon. Reads
 * --ca-file and --timeout of the command; without --ca-file CaFile= of the
 * account's file holds. */
int ctl_conversation_open(const struct ctl_context *c, const char *account,
                          struct ctl_conversation *ret) MUST_CHECK;

/* ctl_conversation_select() - go on with another account. A nonce stays if it
 * is of the same CA. */
int ctl_conversation_select(struct ctl_conversation *v,
                            const char *account) MUST_CHECK;

/* Of the account; NULL where the daemon says nothing. */
const json_t *ctl_conversation_facts(const struct ctl_conversation *v);

/* ctl_conversation_directory() - fetch it and let the daemon judge it; then
 * v->directory is there and v->ca can post. One that was fetched for another
 * account of the same directory is not fetched again.
 * @ret_changes: an array of strings, what was different before; may be NULL */
int ctl_conversation_directory(struct ctl_conversation *v,
                               json_t **ret_changes) MUST_CHECK;

/* ctl_conversation_known() - the endpoints are those that the daemon knows.
 * False: it knows none. */
bool ctl_conversation_known(struct ctl_conversation *v);

/**
 * ctl_conversation_post() - the daemon signs, the CA answers; see ctl_ca_post()
 * @method:     of the daemon; its parameters are @parameters and the nonce
 * @parameters: borrowed
 */
int ctl_conversation_post(struct ctl_conversation *v, enum net_kind kind,
                          const char *method, json_t *parameters) MUST_CHECK;
/* Prints nothing of what the CA or the network did. */
int ctl_conversation_try_post(struct ctl_conversation *v, enum net_kind kind,
                              const char *method,
                              json_t *parameters) MUST_CHECK;
