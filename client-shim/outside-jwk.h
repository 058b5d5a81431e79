/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>

#include "acme/jwk.h"
#include "base/secret.h"

/* Private JWK (RFC 7517, 7518 section 6, 8037): for outside-key.c alone. What
 * lies between is in OpenSSL's secure heap, which has to be there. */

/* outside_jwk_looks_like() - the first character is that of an object. */
bool outside_jwk_looks_like(const struct secret *file);

/* outside_jwk_read() - *ret NULL: it is none. Whether the parts belong together
 * is for the caller to see. Return: 0; -ENOMEM. */
int outside_jwk_read(const struct secret *file, EVP_PKEY **ret) MUST_CHECK;

/* outside_jwk_format() - Return: 0; -EIO; -ENOMEM; -ENOLCK. */
int outside_jwk_format(const EVP_PKEY *key, const struct jwk *jwk,
                       struct secret **ret) MUST_CHECK;
