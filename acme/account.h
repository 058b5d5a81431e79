/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"

/*
 * What the readers need to know of an account: facts from the registry, or
 * from the file that `guardianctl policy check --account-file` names.
 */

#define ACME_URL_MAX 1024

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
 * Origins=; the endpoints differ from each other and from the account URL;
 * newNonce, newAccount and newOrder are there.
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

struct acme_account *acme_account_free(struct acme_account *a);
DEFINE_CLEANUP(struct acme_account *, acme_account_free)
#define CLEANUP_ACME_ACCOUNT CLEANUP(acme_account_free_p)
