/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* key_type_read() - of an account's key, by its word: "ec-p256", "rsa-3072",
 * "ed25519". @ret_rsa_bits: 0 where it is no RSA. False: there is no such. */
bool key_type_read(const char *word, const char **ret_alg,
                   unsigned *ret_rsa_bits);
#define KEY_TYPE_WORDS                                                         \
    "ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096 or ed25519"
