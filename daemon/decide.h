/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

struct varlink_call;

/*
 * The one way to a client's signature, for Varlink and lacme alike:
 *
 *   read the bytes -> suspended? -> account ready? -> key as believed?
 *   -> policy and quota -> audit line -> token -> (audit synced) -> answer
 *
 * While a rotation holds the account, what would be granted waits before the
 * audit line, and is then read and judged again from its first byte.
 *
 * Nothing else in the daemon signs what a client has composed.
 */

struct decide_input {
    const struct peer *peer; /* borrowed until the answer */
    const char *socket;      /* instance of the socket, or NULL; likewise */
    struct account *account;
    struct bytes protected_b64, payload_b64; /* needed only during the call */
    const char *thumbprint; /* the key the client believes in, or NULL */
    bool may_finish; /* of a connection that a rotation waits for: its orders
                        are not held while they still could be signed */
};

/* What to answer. Borrowed, valid during the callback. */
struct decide_outcome {
    enum reason reason; /* REASON_UNSET: signed */
    struct bytes signature;
    const char *operation;  /* "order"; of what could be read */
    const char *identifier; /* at fault, or NULL */
    const char *rule;       /* "FILE:LINE", or NULL */
    const char *detail;     /* from the peer's input or the token: escape */
    size_t offset;
    const char *state;      /* ACCOUNT_NOT_READY */
    const char *thumbprint; /* KEY_CHANGED: the current one */
    uint64_t retry_after_ms;
};
typedef void (*decide_done_fn)(const struct decide_outcome *outcome,
                               void *userdata);

/* decide_sign() - @fn is called exactly once, perhaps before this returns. */
void decide_sign(struct guardian *g, const struct decide_input *in,
                 decide_done_fn fn, void *userdata);

/* decide_caller() - the peer as the policy sees it. */
struct policy_caller decide_caller(const struct peer *peer, const char *socket);

/**
 * decide_state() - may anything be signed for this account and caller now?
 *
 * Return: 0; REFUSED (suspended, account-not-ready).
 */
int decide_state(const struct guardian *g, const struct peer *peer,
                 const struct account *a,
                 struct refusal *ret_refusal) MUST_CHECK;

/**
 * decide_csr_key() - is the key to be certified nobody's account key?
 *
 * Whoever can have a CSR signed by an account's key has that key elsewhere;
 * a certificate for it would let the account be taken for a server (RFC 8555
 * section 11.1). The reader knows the one account only, this all of them.
 *
 * Return: 0; REFUSED (account-key).
 */
int decide_csr_key(const struct accounts *accounts,
                   const struct acme_request *request,
                   struct refusal *ret_refusal) MUST_CHECK;

/* decide_rule() - "FILE:LINE" appended; nothing for no rule. */
int decide_rule(const struct policy_ruleset *rule, struct buf *ret) MUST_CHECK;
