/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-daemon.h"
#include "client-shim/net-child.h"

/*
 * A CA, for one command: the network child, the nonce that is next to be
 * spent, and what the CA said last. It knows nothing of who signs. Functions
 * return exit codes as in ctl-daemon.h.
 *
 * A clock that is more than CTL_CA_SKEW_S from the CA's Date is warned of
 * once. An answer that asks to wait (429 or 503 with Retry-After) is waited
 * for, with a line that says so, as long as wait_max_s allows.
 */

#define CTL_CA_SKEW_S 60
#define CTL_CA_WAIT_MAX_S 3600

struct ctl_ca {
    const struct ctl_context *context;
    struct net_child *net;
    bool allow_http;
    bool warned_of_clock;
    unsigned wait_max_s; /* for one request in all; 0: never wait */
    char new_nonce[ACME_URL_MAX + 1]; /* to be set before a POST */
    char url[ACME_URL_MAX + 1];       /* of the last request */
    char nonce[NET_NONCE_MAX + 1];    /* the next to spend, or empty */
    struct net_answer *answer;        /* the last one, never NULL */
};
#define CLEANUP_CTL_CA CLEANUP(ctl_ca_deinit)
void ctl_ca_deinit(struct ctl_ca *ca);

/* ctl_ca_open() - forks the child, so before there is any connection to the
 * daemon. Reads --ca-file and --timeout of the command. */
int ctl_ca_open(const struct ctl_context *c, struct ctl_ca *ret) MUST_CHECK;
/* The same; without --ca-file CaFile= of the account's file holds. @client: of
 * a command for clients, who may not be able to read that. */
int ctl_ca_open_for(const struct ctl_context *c, const char *account,
                    bool client, struct ctl_ca *ret) MUST_CHECK;
/* The same with roots that are no option; NULL: the system's. */
int ctl_ca_open_with(const struct ctl_context *c, const char *ca_file,
                     struct ctl_ca *ret) MUST_CHECK;

/* What a command that talks to a CA has in its table of options. */
#define CTL_CA_OPTIONS                                                         \
    { "--ca-file", "FILE", "PEM roots for the CA's own TLS, and no others",    \
      0,           false,  false },                                            \
    {                                                                          \
        "--timeout", "SECONDS", "for each request to the CA (60)", 0, false,   \
            false                                                              \
    }

/* ctl_ca_get() - a directory or renewal information. CTL_EXIT_DONE: 200 and
 * net_answer_good(); anything else was printed. */
int ctl_ca_get(struct ctl_ca *ca, enum net_kind kind,
               const char *url) MUST_CHECK;

/* ctl_ca_try_get() - prints nothing of what the CA or the network did:
 * CTL_EXIT_DONE is any answer, to be looked at in ca->answer. */
int ctl_ca_try_get(struct ctl_ca *ca, enum net_kind kind,
                   const char *url) MUST_CHECK;

/**
 * ctl_ca_sign_fn - a request signed with this nonce
 * @ret: a new reference to an object with protected, payload and signature,
 *       and url where the post has none
 *
 * Return: an exit code; has printed what went wrong.
 */
typedef int (*ctl_ca_sign_fn)(const char *nonce, void *userdata, json_t **ret);

struct ctl_ca_post {
    enum net_kind kind;
    const char *url; /* NULL: that of the signed object */
    ctl_ca_sign_fn sign;
    void *userdata;
};

/**
 * ctl_ca_post() - sign and send, again with a fresh nonce if the CA wants
 * another (RFC 8555 section 6.5), CTL_CA_NONCE_TRIES times at most
 *
 * CTL_EXIT_DONE: the CA answered with success; see ca->answer. Anything else
 * was printed.
 */
int ctl_ca_post(struct ctl_ca *ca, const struct ctl_ca_post *post) MUST_CHECK;
#define CTL_CA_NONCE_TRIES 6

/* ctl_ca_try_post() - prints nothing of what the CA or the network did:
 * CTL_EXIT_DONE is any answer, to be looked at in ca->answer. */
int ctl_ca_try_post(struct ctl_ca *ca,
                    const struct ctl_ca_post *post) MUST_CHECK;

/* ctl_ca_call() - one request as it is: no nonce is kept, nothing waited for,
 * nothing of what the CA or the network did is printed. */
int ctl_ca_call(struct ctl_ca *ca, const struct net_call *call) MUST_CHECK;

/* ctl_ca_flat() - a flattened JWS (RFC 7515 section 7.2.2) of an object with
 * these three members and others. */
int ctl_ca_flat(const json_t *jws, char **ret) MUST_CHECK;

/* ctl_ca_report() - print that the last answer is no success (with --json as
 * an object, too). Return: its exit code. */
int ctl_ca_report(const struct ctl_ca *ca);

/* ctl_ca_words() - exit code and words for an answer that is no success.
 * Pure. */
int ctl_ca_words(const struct net_answer *a, enum ctl_exit *ret_code,
                 struct buf *words) MUST_CHECK;

/* ctl_ca_problem_name() - "badNonce" of its URN; of another URN all of it. */
const char *ctl_ca_problem_name(const struct net_problem *p);
