/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/request.h"
#include "daemon/decide.h"

/* One request on its way through decide.c, and how it is written down. */
struct decision {
    struct guardian *guardian;
    struct decide_input in; /* the base64url parts: only in decide_sign() */
    decide_done_fn fn;
    void *userdata;
    struct acme_request *request; /* NULL: could not be read */
    struct buf input;             /* protected "." payload */
    struct buf rule;              /* "FILE:LINE" */
    const char *rule_id;          /* only in decide_sign() */
    uint64_t retry_after_ms;
    const char *identifier; /* at fault; lives in request */
    /* Of the key, when it came and when the token was asked. */
    char came[JWK_THP_TEXT_LEN + 1], asked[JWK_THP_TEXT_LEN + 1];
    struct buf head, payload; /* while it is held: the base64url parts */
    uint64_t wait_until_ms;   /* and how long at most */
    uint64_t since_us;        /* when it came, of metrics_now_us() */
    bool in_flight;           /* counted in its account */
    bool new_order;           /* there, too, while in flight */
    uint8_t input_sha256[32];
    uint8_t payload_sha256[32];
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t signature_len;
};

/* decision_write() - the audit line that must exist before the signature.
 * Return: 0; REFUSED (audit-unavailable). */
int decision_write(struct decision *d, struct refusal *ret_refusal) MUST_CHECK;

/* decision_verdict() - "allowed", "denied", "malformed", "refused". */
const char *decision_verdict(enum reason reason);

/* decision_write_refusal() - audit line and journal entry of a refusal. */
void decision_write_refusal(struct decision *d, const struct refusal *refusal);

/* decision_log_granted() - the journal entry of a signature. */
void decision_log_granted(const struct decision *d);
