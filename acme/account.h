/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"

/*
 * What the readers need to know of an account: facts from the registry, or
 * from the file that `guardianctl policy check --account-file` names.
 */

#define ACME_URL_MAX 1024
#define ACME_CHALLENGE_MEMBERS_MAX 16
#define ACME_ORIGINS_MAX 16

/* Directory endpoints (RFC 8555 section 7.1.1). NULL where not offered. */
struct acme_directory {
    char *new_nonce;
    char *new_account;
    char *new_order;
    char *new_authz;
    char *revoke_cert;
    char *key_change;
    char *renewal_info; /* RFC 9773 */
};

struct acme_account {
    char *name;
    char *directory_url;
    struct acme_directory directory;
    char *account_url; /* NULL until registered */
    struct jwk jwk;
    char thumbprint[JWK_THP_TEXT_LEN + 1];
    bool valid;               /* registered, and "valid" at the CA */
    bool rotating;            /* a rotation is under way (design section 11) */
    char **origins;           /* Origins=, NULL-ended, may be NULL */
    char **challenge_members; /* NULL-ended, may be NULL */
    bool allow_query;
    bool allow_http_loopback;
};

/**
 * acme_account_read() - from JSON text
 *
 * Members: name, directory_url, directory, account_url, alg, jwk, and the
 * optional origins, challenge_members (arrays), allow_query,
 * allow_http_loopback, valid (default true when account_url is there). `alg`
 * must be that of the key. acme_account_check() is applied.
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int acme_account_read(struct bytes json, struct acme_account **ret,
                      struct refusal *ret_refusal) MUST_CHECK;

/**
 * acme_account_check() - rules a directory and account must keep
 *
 * All URLs pass the URL rules for this account's directory origin and
 * Origins=; the endpoints differ from each other and from the account URL by
 * more than a last slash; newNonce, newAccount and newOrder are there. An
 * origin is scheme, host and port, nothing else. challenge_members names
 * nothing that another operation uses.
 */
int acme_account_check(const struct acme_account *a,
                       struct refusal *ret_refusal) MUST_CHECK;

/**
 * acme_directory_read() - a CA's directory object (RFC 8555 section 7.1.1)
 *
 * Unlike our own input a directory may have members that we do not know (CAs
 * publish random ones on purpose); the known ones must be strings, each once.
 */
int acme_directory_read(struct bytes json, struct acme_directory *ret,
                        struct refusal *ret_refusal) MUST_CHECK;
void acme_directory_deinit(struct acme_directory *d);

/* The directory's endpoints and the account URL, by what they are for. */
enum acme_endpoint {
    ACME_ENDPOINT_NONE = 0, /* any other resource */
    ACME_ENDPOINT_NEW_NONCE,
    ACME_ENDPOINT_NEW_ACCOUNT,
    ACME_ENDPOINT_NEW_ORDER,
    ACME_ENDPOINT_NEW_AUTHZ,
    ACME_ENDPOINT_REVOKE_CERT,
    ACME_ENDPOINT_KEY_CHANGE,
    ACME_ENDPOINT_RENEWAL_INFO,
    ACME_ENDPOINT_ACCOUNT,
    ACME_ENDPOINT_COUNT
};

/* acme_account_endpoint() - its URL, borrowed; NULL where there is none. */
const char *acme_account_endpoint(const struct acme_account *a,
                                  enum acme_endpoint which);

struct acme_account *acme_account_free(struct acme_account *a);
DEFINE_CLEANUP(struct acme_account *, acme_account_free)
#define CLEANUP_ACME_ACCOUNT CLEANUP(acme_account_free_p)
