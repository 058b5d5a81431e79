/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"
#include "base/bytes.h"

/*
 * What the network child hands back: fixed sizes, no pointers, text printable.
 * The child parses what the CA says and may be broken into by it, so the other
 * side takes nothing on trust: net_answer_check() comes before any use.
 */

#define NET_TEXT_MAX 256
#define NET_NONCE_MAX 256
#define NET_STATUS_MAX 32
#define NET_TYPE_MAX 128
#define NET_DETAIL_MAX 512
#define NET_JWS_MAX (48 * 1024)
#define NET_BODY_MAX (256 * 1024)

enum net_kind {
    NET_KIND_UNSET = 0,
    NET_KIND_DIRECTORY, /* GET, a directory object */
    NET_KIND_NONCE,     /* HEAD (RFC 8555 section 7.2) */
    NET_KIND_POST,      /* a JWS; an account object or a problem comes back */
    NET_KIND_COUNT
};

enum net_result {
    NET_RESULT_UNSET = 0,
    NET_RESULT_OK, /* an answer; its HTTP status may still be an error's */
    NET_RESULT_CONNECT,
    NET_RESULT_TLS,
    NET_RESULT_TIMEOUT,
    NET_RESULT_REDIRECT,
    NET_RESULT_TOO_LARGE,
    NET_RESULT_BAD_ANSWER,
    NET_RESULT_COUNT
};

struct net_request {
    uint32_t kind;
    uint32_t body_len;
    uint32_t allow_http;
    uint32_t reserved;
    char url[ACME_URL_MAX + 1];
    char body[NET_JWS_MAX];
};

/* Strings are empty where the directory has no such member. */
struct net_directory {
    char new_nonce[ACME_URL_MAX + 1];
    char new_account[ACME_URL_MAX + 1];
    char new_order[ACME_URL_MAX + 1];
    char new_authz[ACME_URL_MAX + 1];
    char revoke_cert[ACME_URL_MAX + 1];
    char key_change[ACME_URL_MAX + 1];
    char renewal_info[ACME_URL_MAX + 1];
    char terms[ACME_URL_MAX + 1];    /* meta.termsOfService */
    uint32_t needs_external_account; /* meta.externalAccountRequired */
};

struct net_answer {
    uint32_t kind;
    uint32_t result;
    uint32_t http_status;        /* 100..599; 0 unless NET_RESULT_OK */
    char text[NET_TEXT_MAX + 1]; /* for people, unless NET_RESULT_OK */
    char location[ACME_URL_MAX + 1];
    char nonce[NET_NONCE_MAX + 1]; /* Replay-Nonce, base64url or empty */
    char acme_status[NET_STATUS_MAX + 1];
    char problem_type[NET_TYPE_MAX + 1];
    char problem_detail[NET_DETAIL_MAX + 1];
    struct net_directory directory;
};

/* net_answer_check() - is this @len octets of an answer to @kind that keeps
 * every rule above? */
bool net_answer_check(const void *data, size_t len, enum net_kind kind);

/* net_nonce_ok() - of the base64url alphabet (RFC 8555 section 6.5.1), or
 * empty. */
bool net_nonce_ok(const char *nonce);

/* net_text() - copies what is printable ASCII, the rest becomes '?'; cut at
 * @max octets, of which @to has one more. */
void net_text(char *to, size_t max, const char *from, size_t len);

/* net_answer_fail() - a result that is not OK, with words. */
void net_answer_fail(struct net_answer *a, enum net_result result,
                     const char *fmt, ...) PRINTF(3, 4);

/*
 * In the child, pure: the body of a successful answer. What does not fit is
 * NET_RESULT_BAD_ANSWER in @a.
 */
void net_answer_read_directory(struct net_answer *a, struct bytes body);
void net_answer_read_account(struct net_answer *a, struct bytes body);
/* A problem document (RFC 7807): whatever of it can be read, never a failure.
 */
void net_answer_read_problem(struct net_answer *a, struct bytes body);
