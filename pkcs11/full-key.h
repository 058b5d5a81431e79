/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/backend.h"

/*
 * Of 128 keys on P-256 or P-384 one has a coordinate that begins with a zero
 * octet. Some clients leave such octets out of the JWK (HAProxy 3.2 to 3.5),
 * and the CA then refuses all that they send, for ever. So keys are made until
 * one has none. A TPM is the exception: of its few slots, the one that a new
 * key lies in is lost when it is destroyed.
 */

#define FULL_KEY_TRIES 8 /* all in vain: once in 10^17 */

/* full_key_is() - no coordinate begins with a zero octet; of a type without
 * coordinates that a JWK has apart, too. */
bool full_key_is(const struct token_key *key);

/* full_key_generate() - generate() of @ops, of which no other keys stay.
 * @first: take the first one, whatever its coordinates. */
enum token_result full_key_generate(const struct backend_ops *ops,
                                    struct backend_session *s,
                                    const char *label, enum token_alg alg,
                                    unsigned rsa_bits, bool first,
                                    struct backend_key *ret,
                                    struct backend_error *reterr) MUST_CHECK;
