/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/secret.h"
#include "client-shim/dns-answer.h"

/*
 * The process that talks to DNS servers (design section 3). Like the network
 * child it keeps one descriptor, gives up its user where that is root, and can
 * open no Unix socket: who breaks into it through an answer has no way to the
 * daemon. It may be started at any time, also while there is a connection to
 * the daemon, but not while a secret is in memory that it must not have.
 */

struct dns_child;

struct dns_child_options {
    unsigned try_ms;  /* for one try over UDP; 0: 2000 */
    unsigned n_tries; /* 0: 3 */
    unsigned tcp_ms;  /* for a whole exchange over TCP; 0: 10000 */
};

/**
 * dns_child_start() - fork it; it reads /etc/resolv.conf before it is confined
 * @options: NULL: all defaults
 *
 * Return: 0; negative errno.
 */
int dns_child_start(const struct dns_child_options *options,
                    struct dns_child **ret) MUST_CHECK;

struct dns_child *dns_child_free(struct dns_child *c);
DEFINE_CLEANUP(struct dns_child *, dns_child_free)
#define CLEANUP_DNS_CHILD CLEANUP(dns_child_free_p)

struct dns_query {
    struct dns_server server; /* family 0: those of /etc/resolv.conf */
    const char *name;         /* as in struct dns_rr; a last dot may stand */
    enum dns_type type;
    bool recurse;          /* RD: of a resolver */
    bool without_checking; /* CD: also what does not validate */
};

/* So many questions may be under way. */
#define DNS_CHILD_IN_FLIGHT 64

/**
 * dns_child_send() - ask; answers come in any order
 * @ret_id: goes with the answer; never 0
 *
 * Over UDP with EDNS (1232 octets, DO set), again over TCP where the answer is
 * cut.
 *
 * Return: 0; -EAGAIN when DNS_CHILD_IN_FLIGHT are under way; -EINVAL for a name
 * that cannot be; -EPROTO when the child is gone.
 */
int dns_child_send(struct dns_child *c, const struct dns_query *q,
                   uint32_t *ret_id) MUST_CHECK;

/**
 * dns_child_receive() - wait for the next answer
 * @ret: empty before; dns_answer_deinit() after
 *
 * Return: 0; -ENOENT when nothing is under way; -EPROTO when the child sent
 * something else or died; -ETIMEDOUT when it hangs; -ENOMEM.
 */
int dns_child_receive(struct dns_child *c, uint32_t *ret_id,
                      struct dns_answer *ret) MUST_CHECK;

/* dns_child_query() - both, for one question while nothing else is under way
 * (else -EBUSY). */
int dns_child_query(struct dns_child *c, const struct dns_query *q,
                    struct dns_answer *ret) MUST_CHECK;

/* One TXT record to be there or not. */
struct dns_change {
    const char *owner;
    struct bytes rdata; /* dns_txt_ok() */
    uint32_t ttl_s;     /* of what is added */
    bool remove;
};

struct dns_update {
    struct dns_server server;
    const char *zone;
    const char *key_name;
    const char *algorithm;    /* "hmac-sha256" or "hmac-sha512" */
    const struct secret *key; /* borrowed */
    const struct dns_change *changes;
    size_t n_changes; /* at most DNS_UPDATE_MAX; all of them or none are made */
};
#define DNS_UPDATE_MAX 100

struct dns_update_result {
    /* OK: the server's word, in an answer signed with the key, is that it is
     * done. RCODE, LAME, REFUSED or SERVFAIL: it says, signed too unless it has
     * no such key, that nothing was done; @rcode says why. Others: see
     * @unknown. */
    enum dns_status status;
    unsigned rcode;      /* of the message; 0 if there is none */
    unsigned tsig_error; /* DNS_RCODE_BADSIG and the like, or 0 */
    bool unknown;        /* it may or may not have been done: the request left
                            whole, and no answer that counts came back */
    char text[DNS_TEXT_MAX + 1]; /* the whole in words, unless OK */
};

/**
 * dns_child_update() - add and remove single records (RFC 2136), over TCP, with
 * TSIG (RFC 8945) on the request and verified on the answer
 *
 * Records that are not named are not touched. Nothing else may be under way.
 *
 * Return: 0 with *ret; -E2BIG: does not fit into a message, take fewer changes;
 * -EBUSY; -EINVAL; -EPROTO; -ETIMEDOUT; -ENOMEM. When it is -EPROTO or
 * -ETIMEDOUT the update may or may not have been made.
 */
int dns_child_update(struct dns_child *c, const struct dns_update *u,
                     struct dns_update_result *ret) MUST_CHECK;
