/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "daemon/decide.h"

/* What org.acmeguardian.Signer tells about accounts, without signing. */

/**
 * signer_account_find() - the account that a caller means and may use
 * @name: or NULL, when the caller may use exactly one
 *
 * An account that the caller may not use does not exist for it.
 *
 * Return: 0; REFUSED (unknown-account); SIGNER_ACCOUNT_E_WHICH (no name, and
 * more than one).
 */
int signer_account_find(const struct guardian *g, const struct peer *peer,
                        const char *socket, const char *name,
                        struct account **ret,
                        struct refusal *ret_refusal) MUST_CHECK;
#define SIGNER_ACCOUNT_E_WHICH 2

/* signer_account_format() - type Account. */
int signer_account_format(const struct account *a, struct buf *b) MUST_CHECK;

/* The answers of ListAccounts, KeyAuthorization and Check. */
int signer_account_list(const struct guardian *g, const struct peer *peer,
                        const char *socket, struct buf *b) MUST_CHECK;
int signer_key_authorization(const struct account *a, const char *token,
                             struct buf *b,
                             struct refusal *ret_refusal) MUST_CHECK;
int signer_check(const struct guardian *g, const struct peer *peer,
                 const char *socket, const struct account *a, enum acme_op op,
                 const json_t *identifiers, struct buf *b,
                 struct refusal *ret_refusal) MUST_CHECK;
