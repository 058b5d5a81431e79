/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/backend.h"

/*
 * May a key with these attributes sign for an account? Software keys of the
 * sealed store are exempt: they are shown as what they are.
 */

/* fitness_check() - refuse what the token itself says can be read out. Unknown
 * attributes pass: a backend may not be able to ask. */
enum token_result fitness_check(const struct token_key *key,
                                struct backend_error *reterr) MUST_CHECK;

/* fitness_prove() - refuse what the token does not say is safe: for keys that
 * are made or taken over. */
enum token_result fitness_prove(const struct token_key *key,
                                struct backend_error *reterr) MUST_CHECK;
