/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/*
 * Every reason for which a request is not signed: one table, in one place. The
 * code is stable and goes to peers, audit lines and the journal; the table in
 * acme-guardian.signer(7) lists each, and scripts/mutate removes the guard of
 * each in turn and expects a test to fail.
 *
 * Kinds: MALFORMED (two readers could read it differently, or it is no ACME
 * request that we know), DENIED (well-formed, but not for this caller), STATE
 * (would be allowed, but not now).
 */
#define REASON_TABLE(X)                                                        \
    /* reading: base64url and JSON */                                          \
    X(BAD_BASE64URL, MALFORMED, "bad-base64url")                               \
    X(BAD_JSON, MALFORMED, "bad-json")                                         \
    X(DUPLICATE_MEMBER, MALFORMED, "duplicate-member")                         \
    X(TOO_DEEP, MALFORMED, "too-deep")                                         \
    X(TOO_LARGE, MALFORMED, "too-large")                                       \
    X(UNKNOWN_MEMBER, MALFORMED, "unknown-member")                             \
    X(MISSING_MEMBER, MALFORMED, "missing-member")                             \
    X(WRONG_TYPE, MALFORMED, "wrong-type")                                     \
    /* reading: the protected header (RFC 8555 section 6.2) */                 \
    X(WRONG_ALG, MALFORMED, "wrong-alg")                                       \
    X(BAD_NONCE, MALFORMED, "bad-nonce")                                       \
    X(KID_AND_JWK, MALFORMED, "kid-and-jwk")                                   \
    X(WRONG_KID, MALFORMED, "wrong-kid")                                       \
    X(WRONG_JWK, MALFORMED, "wrong-jwk")                                       \
    X(JWK_NOT_HERE, MALFORMED, "jwk-not-here")                                 \
    X(BAD_URL, MALFORMED, "bad-url")                                           \
    X(URL_SCHEME, MALFORMED, "url-scheme")                                     \
    X(URL_QUERY, MALFORMED, "url-query")                                       \
    X(FOREIGN_ORIGIN, MALFORMED, "foreign-origin")                             \
    /* reading: operation and payload */                                       \
    X(URL_PAYLOAD_MISMATCH, MALFORMED, "url-payload-mismatch")                 \
    X(NO_IDENTIFIERS, MALFORMED, "no-identifiers")                             \
    X(TOO_MANY_IDENTIFIERS, MALFORMED, "too-many-identifiers")                 \
    X(IDENTIFIER_TYPE, MALFORMED, "identifier-type")                           \
    X(BAD_DNS_NAME, MALFORMED, "bad-dns-name")                                 \
    X(BAD_ADDRESS, MALFORMED, "bad-address")                                   \
    X(BAD_TIME, MALFORMED, "bad-time")                                         \
    X(BAD_VALUE, MALFORMED, "bad-value")                                       \
    X(BAD_TOKEN, MALFORMED, "bad-token")                                       \
    X(GUARDIAN_ONLY, DENIED, "guardian-only")                                  \
    /* reading: CSR and certificate */                                         \
    X(BAD_DER, MALFORMED, "bad-der")                                           \
    X(BAD_SIGNATURE, MALFORMED, "bad-signature")                               \
    X(CSR_ATTRIBUTE, MALFORMED, "csr-attribute")                               \
    X(DUPLICATE_EXTENSION, MALFORMED, "duplicate-extension")                   \
    X(BAD_EXTENSION, MALFORMED, "bad-extension")                               \
    X(SAN_TYPE, MALFORMED, "san-type")                                         \
    X(SUBJECT_CN, MALFORMED, "subject-cn")                                     \
    X(BAD_KEY, MALFORMED, "bad-key")                                           \
    X(ACCOUNT_KEY, MALFORMED, "account-key")                                   \
    /* policy */                                                               \
    X(NO_RULE, DENIED, "no-rule")                                              \
    X(IDENTIFIER_NOT_ALLOWED, DENIED, "identifier-not-allowed")                \
    X(IDENTIFIER_DENIED, DENIED, "identifier-denied")                          \
    X(OPERATION_NOT_ALLOWED, DENIED, "operation-not-allowed")                  \
    X(PROFILE_NOT_ALLOWED, DENIED, "profile-not-allowed")                      \
    X(VALIDITY_NOT_ALLOWED, DENIED, "validity-not-allowed")                    \
    X(KEY_TYPE_NOT_ALLOWED, DENIED, "key-type-not-allowed")                    \
    X(SUBJECT_NOT_ALLOWED, DENIED, "subject-not-allowed")                      \
    X(EXTENSION_NOT_ALLOWED, DENIED, "extension-not-allowed")                  \
    X(TOO_MANY_NAMES, DENIED, "too-many-names")                                \
    X(ORDERS_PER_DAY, STATE, "orders-per-day")                                 \
    /* the daemon's state */                                                   \
    X(SUSPENDED, STATE, "suspended")                                           \
    X(REQUESTS_PER_MINUTE, STATE, "requests-per-minute")                       \
    X(UNKNOWN_ACCOUNT, DENIED, "unknown-account")                              \
    X(ACCOUNT_NOT_READY, STATE, "account-not-ready")                           \
    X(KEY_CHANGED, STATE, "key-changed")                                       \
    X(TOKEN_UNAVAILABLE, STATE, "token-unavailable")                           \
    X(AUDIT_UNAVAILABLE, STATE, "audit-unavailable")                           \
    X(BUSY, STATE, "busy")

enum reason {
    REASON_UNSET = 0,
#define X(name, kind, code) REASON_##name,
    REASON_TABLE(X)
#undef X
        REASON_COUNT
};

enum reason_kind {
    REASON_KIND_UNSET = 0,
    REASON_KIND_MALFORMED,
    REASON_KIND_DENIED,
    REASON_KIND_STATE,
};

/* reason_code() - "identifier-not-allowed"; "unset" for REASON_UNSET. */
const char *reason_code(enum reason reason);
enum reason_kind reason_kind(enum reason reason);
/* reason_parse() - REASON_UNSET if there is no such code. */
enum reason reason_parse(const char *code);

#define REFUSAL_DETAIL_MAX 320

/**
 * struct refusal - why, where, and what was at fault
 *
 * @offset: octet in the decoded JSON text (or DER) where reading stopped; 0
 *          where that says nothing.
 * @detail: the member, name or value at fault, printable, for people. Comes
 *          from the peer: escape it before it goes into JSON or a log.
 */
struct refusal {
    enum reason reason;
    size_t offset;
    char detail[REFUSAL_DETAIL_MAX];
};

/*
 * The positive outcome of every reader and of no other kind of function: the
 * input was refused and *ret_refusal says why.
 */
#define REFUSED 1

/**
 * refuse() - fill in a refusal
 *
 * Written `return refuse(...)` behind the condition that is the rule, on its
 * own line: scripts/mutate finds the guards by exactly that.
 *
 * Return: REFUSED, always.
 */
int refuse(struct refusal *ret_refusal, enum reason reason, const char *fmt,
           ...) PRINTF(3, 4) MUST_CHECK;
int refuse_at(struct refusal *ret_refusal, enum reason reason, size_t offset,
              const char *fmt, ...) PRINTF(4, 5) MUST_CHECK;
