/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"

/*
 * SubjectPublicKeyInfo without OpenSSL's keys: reading a key through those asks
 * every provider, and it is a provider that reads this. Used by stub.c alone.
 */

#define STUB_KEY_E_INVALID 1

/* stub_key_check() - is it a key that an account can have: the point on its
 * curve, the modulus of an allowed size and odd?
 * Return: 0; STUB_KEY_E_INVALID; -ENOMEM. */
int stub_key_check(const struct jwk *key) MUST_CHECK;

/* Return: 0; STUB_KEY_E_INVALID; -ENOMEM. What was decoded has not been
 * checked, and may have had another encoding. */
int stub_key_encode(const struct jwk *key, struct buf *ret) MUST_CHECK;
int stub_key_decode(struct bytes der, struct jwk *ret) MUST_CHECK;
