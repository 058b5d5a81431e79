/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/key-type.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

bool key_type_read(const char *word, const char **ret_alg,
                   unsigned *ret_rsa_bits)
{
    static const struct {
        const char *word, *alg;
        unsigned rsa_bits;
    } types[] = {
        { "ec-p256", "ES256", 0 },     { "ec-p384", "ES384", 0 },
        { "rsa-2048", "RS256", 2048 }, { "rsa-3072", "RS256", 3072 },
        { "rsa-4096", "RS256", 4096 }, { "ed25519", "EdDSA", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strcmp(types[i].word, word) != 0)
            continue;
        *ret_alg = types[i].alg;
        *ret_rsa_bits = types[i].rsa_bits;
        return true;
    }
    return false;
}
