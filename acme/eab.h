/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"
#include "base/secret.h"

/*
 * External Account Binding (RFC 8555 section 7.3.4): the account's public key,
 * under the MAC of a key that the CA gave out beforehand.
 */

#define EAB_KID_MAX 512
#define EAB_KEY_MIN 16 /* octets; HS256 wants 32, and CAs give less */

/**
 * eab_compose() - the flattened JWS for "externalAccountBinding"
 * @account:         the account's public key, the payload
 * @kid:             the key identifier that the CA gave out, UTF-8
 * @new_account_url: exactly as in the outer header
 * @ret_json:        appended to
 *
 * HS256; the inner header has exactly alg, kid and url.
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int eab_compose(const struct jwk *account, const char *kid,
                const char *new_account_url, const struct secret *mac_key,
                struct buf *ret_json, struct refusal *ret_refusal) MUST_CHECK;

/**
 * eab_check() - before a binding that somebody composed is signed
 * @ret_kid: a copy, to be freed; may be NULL
 *
 * Closed member sets; HS256; the url is newAccount; the payload is the
 * account's key and nothing else; the MAC has its length. Whether it is right,
 * the CA alone can tell.
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int eab_check(struct bytes json, const struct jwk *account,
              const char *new_account_url, char **ret_kid,
              struct refusal *ret_refusal) MUST_CHECK;

/**
 * eab_key_decode() - a MAC key as CAs show it
 *
 * base64url or base64, with its padding or without, white space around it.
 *
 * Return: 0; EAB_E_ENCODING; EAB_E_SHORT (below EAB_KEY_MIN octets); -ENOMEM;
 * -ENOLCK.
 */
int eab_key_decode(const struct secret *text, struct secret **ret) MUST_CHECK;
#define EAB_E_ENCODING 1
#define EAB_E_SHORT 2
