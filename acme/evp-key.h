/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>

#include "acme/jwk.h"

/* Account keys as OpenSSL knows them: for acme/ alone. */

static inline void evp_key_free_p(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
#define CLEANUP_EVP_KEY CLEANUP(evp_key_free_p)

/* What OpenSSL would not take or do; its error queue is left empty. */
#define EVP_KEY_E_INVALID 1

/* evp_key_error() - empties OpenSSL's error queue. Return: -ENOMEM if it tells
 * of that; EVP_KEY_E_INVALID. */
int evp_key_error(void) MUST_CHECK;

/* evp_key_from_jwk() - a point that is not on its curve is invalid.
 * Return: 0; EVP_KEY_E_INVALID; -ENOMEM. */
int evp_key_from_jwk(const struct jwk *key, EVP_PKEY **ret) MUST_CHECK;

/* evp_key_to_jwk() - Return: 0; EVP_KEY_E_INVALID if of no type that we know;
 * -ENOMEM. */
int evp_key_to_jwk(const EVP_PKEY *key, struct jwk *ret) MUST_CHECK;
