/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"
#include "acme/dns-name.h"
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
#define NET_DETAIL_MAX 1024
#define NET_NAME_MAX 255
#define NET_NAMES_MAX 64
#define NET_PREFIX_MAX 512
#define NET_CONTACTS_MAX 10
#define NET_AUTHORIZATIONS_MAX 100
#define NET_ALTERNATES_MAX 8
#define NET_RETRY_MAX_S (7 * 24 * 3600)
#define NET_JWS_MAX (48 * 1024)
#define NET_BODY_MAX (256 * 1024)

enum net_kind {
    NET_KIND_UNSET = 0,
    NET_KIND_DIRECTORY,    /* GET, a directory object */
    NET_KIND_NONCE,        /* HEAD (RFC 8555 section 7.2) */
    NET_KIND_ACCOUNT,      /* POST, an account object (7.1.2) */
    NET_KIND_ORDER,        /* POST, an order object (7.1.3) */
    NET_KIND_AUTHZ,        /* POST, an authorization object (7.1.4) */
    NET_KIND_CHALLENGE,    /* POST, a challenge object (8) */
    NET_KIND_CERTIFICATE,  /* POST, a PEM chain (9.1) */
    NET_KIND_RENEWAL_INFO, /* GET (RFC 9773 section 4.2) */
    NET_KIND_KEY_CHANGE,   /* POST; only its status says something (7.3.5) */
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

/* Strings of what follows are empty where the CA's object has no such member;
 * times are seconds since 1970, 0 where there is none. */

/* RFC 7807; the details of subproblems (RFC 8555 6.7.1) are at the end. */
struct net_problem {
    char type[NET_TYPE_MAX + 1];
    char detail[NET_DETAIL_MAX + 1];
};

struct net_names {
    uint32_t n;
    char name[NET_NAMES_MAX][NET_NAME_MAX + 1];
};

/* The directory's meta, read by acme_meta_read(). */
struct net_meta {
    char terms[ACME_URL_MAX + 1];
    char account_hash_prefix[NET_PREFIX_MAX + 1];
    uint32_t needs_external_account;
    uint32_t caa_identities_unusable;
    struct net_names issuers;
    struct net_names caa_identities;
    struct net_names profiles;
};

struct net_directory {
    char new_nonce[ACME_URL_MAX + 1];
    char new_account[ACME_URL_MAX + 1];
    char new_order[ACME_URL_MAX + 1];
    char new_authz[ACME_URL_MAX + 1];
    char revoke_cert[ACME_URL_MAX + 1];
    char key_change[ACME_URL_MAX + 1];
    char renewal_info[ACME_URL_MAX + 1];
    struct net_meta meta;
};

struct net_account {
    char status[NET_STATUS_MAX + 1];
    uint32_t names_key; /* the object has a member "key" ... */
    /* ... with this thumbprint; empty: it is no key that can be read */
    char thumbprint[JWK_THP_TEXT_LEN + 1];
    uint32_t n_contacts;
    char contact[NET_CONTACTS_MAX][NET_NAME_MAX + 1];
};

struct net_order {
    char status[NET_STATUS_MAX + 1];
    char finalize[ACME_URL_MAX + 1];
    char certificate[ACME_URL_MAX + 1];
    struct net_problem error;
    uint32_t n_authorizations; /* at least 1 */
    char authorization[NET_AUTHORIZATIONS_MAX][ACME_URL_MAX + 1];
};

struct net_challenge {
    char type[NET_STATUS_MAX + 1];
    char status[NET_STATUS_MAX + 1];
    char url[ACME_URL_MAX + 1];
    char accounturi[ACME_URL_MAX + 1];
    struct net_names issuers; /* issuer-domain-names, issuerDomainNames */
    struct net_problem error;
};

struct net_authz {
    char status[NET_STATUS_MAX + 1];
    char identifier_type[NET_STATUS_MAX + 1]; /* "dns", "ip" */
    char identifier[DNS_NAME_MAX + 1];
    uint32_t wildcard;
    char offered[NET_TEXT_MAX + 1]; /* types of all challenges, for people */
    uint32_t has_persist;
    struct net_challenge persist; /* that of type dns-persist-01 */
};

struct net_certificate {
    uint32_t pem_len; /* at least one certificate */
    uint32_t n_alternates;
    char alternate[NET_ALTERNATES_MAX][ACME_URL_MAX + 1];
    char pem[NET_BODY_MAX + 1]; /* passes net_pem_ok() */
};

struct net_renewal {
    int64_t start_s; /* start < end */
    int64_t end_s;
    char explanation[ACME_URL_MAX + 1];
};

struct net_answer {
    uint32_t kind;
    uint32_t result;
    uint32_t http_status;        /* 200..599; 0 unless NET_RESULT_OK */
    uint32_t retry_after_s;      /* at most NET_RETRY_MAX_S; 0: none */
    int64_t date_s;              /* the header Date; 0: none */
    char text[NET_TEXT_MAX + 1]; /* for people, unless NET_RESULT_OK */
    char location[ACME_URL_MAX + 1];
    char nonce[NET_NONCE_MAX + 1]; /* Replay-Nonce, base64url or empty */
    struct net_problem problem;    /* of a status of 400 and more */

    /* The one of the kind, when net_answer_good(); it is the last part, and
     * the only part whose length on the socket differs. */
    union {
        struct net_directory directory;
        struct net_account account;
        struct net_order order;
        struct net_authz authz;
        struct net_challenge challenge;
        struct net_certificate certificate;
        struct net_renewal renewal;
    };
};

/* net_answer_good() - the CA answered with success. */
bool net_answer_good(const struct net_answer *a);

/* net_answer_len() - octets of @a that are sent: all up to the union, and of a
 * good answer the kind's part of it. */
size_t net_answer_len(const struct net_answer *a);

/* net_answer_check() - are these @len octets an answer to @kind that keeps
 * every rule above? @a has room for the longest. */
bool net_answer_check(const struct net_answer *a, size_t len,
                      enum net_kind kind);

/* net_nonce_ok() - of the base64url alphabet (RFC 8555 section 6.5.1), or
 * empty. */
bool net_nonce_ok(const char *nonce);

/* net_pem_ok() - CERTIFICATE blocks (RFC 7468, strict), at least one, and
 * nothing else but empty lines (RFC 8555 section 9.1 wants no text). */
bool net_pem_ok(struct bytes pem);

/* net_text() - copies what is printable ASCII, the rest becomes '?'; cut at
 * @max octets, of which @to has one more. */
void net_text(char *to, size_t max, const char *from, size_t len);

/* net_answer_fail() - a result that is not OK, with words. */
void net_answer_fail(struct net_answer *a, enum net_result result,
                     const char *fmt, ...) PRINTF(3, 4);
