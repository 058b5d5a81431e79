/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"
#include "acme/csr.h"

/*
 * Reading an ACME request (design section 7): from the octets that would be
 * signed to an operation and everything that a policy has to judge. Pure.
 */

#define REQUEST_MAX (64 * 1024) /* octets of protected "." payload */

enum acme_op {
    ACME_OP_UNSET = 0,
    ACME_OP_FETCH,
    ACME_OP_CHALLENGE,
    ACME_OP_ORDER,
    ACME_OP_FINALIZE,
    ACME_OP_REVOKE,
    ACME_OP_LOOKUP,
    ACME_OP_COUNT
};

const char *acme_op_name(enum acme_op op); /* "fetch" */
enum acme_op acme_op_parse(const char *name);

struct acme_request {
    enum acme_op op;
    char *url;
    char *nonce;
    bool by_jwk; /* the header has jwk, not kid */
    /* ORDER: as ordered; FINALIZE, REVOKE: the names in CSR or certificate. */
    struct identifiers identifiers;
    char *profile;      /* ORDER, or NULL */
    char *replaces;     /* ORDER (RFC 9773 section 5), or NULL */
    int64_t not_before; /* ORDER, seconds since 1970, 0 if absent */
    int64_t not_after;
    struct csr csr; /* FINALIZE; its names are in identifiers above */
};

/**
 * acme_request_read() - protected header and payload, as base64url
 *
 * Return: 0; REFUSED with a reason of kind MALFORMED, or GUARDIAN_ONLY for
 * well-formed requests that are never signed for a client; -ENOMEM.
 */
int acme_request_read(const struct acme_account *account,
                      struct bytes protected_b64, struct bytes payload_b64,
                      struct acme_request **ret,
                      struct refusal *ret_refusal) MUST_CHECK;

struct acme_request *acme_request_free(struct acme_request *r);
DEFINE_CLEANUP(struct acme_request *, acme_request_free)
#define CLEANUP_ACME_REQUEST CLEANUP(acme_request_free_p)

/**
 * acme_protected() - compose a protected header (RFC 8555 section 6.2)
 * @by_jwk: with the public key instead of the account URL
 *
 * Appends its base64url form to @ret.
 *
 * Return: 0; -EINVAL without an account URL to be the kid; -ENOMEM.
 */
int acme_protected(const struct acme_account *account, bool by_jwk,
                   struct bytes nonce, struct bytes url,
                   struct buf *ret) MUST_CHECK;
