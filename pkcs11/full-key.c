/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/full-key.h"

/* An SPKI of an EC key ends with the point: 4, x, y. */
bool full_key_is(const struct token_key *key)
{
    size_t n = key->alg == TOKEN_ALG_ES256   ? 32
               : key->alg == TOKEN_ALG_ES384 ? 48
                                             : 0;

    if (n == 0 || key->spki_len < 2 * n)
        return true;
    return key->spki[key->spki_len - 2 * n] != 0 &&
           key->spki[key->spki_len - n] != 0;
}

enum token_result full_key_generate(const struct backend_ops *ops,
                                    struct backend_session *s,
                                    const char *label, enum token_alg alg,
                                    unsigned rsa_bits, bool first,
                                    struct backend_key *ret,
                                    struct backend_error *reterr)
{
    enum token_result r = TOKEN_S_UNSET;

    for (int i = 0; i < FULL_KEY_TRIES; i++) {
        r = ops->generate(s, label, alg, rsa_bits, ret, reterr);
        if (r != TOKEN_S_OK || first || full_key_is(&ret->key))
            return r;
        r = ops->destroy(s, ret, reterr);
        if (r != TOKEN_S_OK)
            return r;
    }
    return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                        "the token makes nothing but keys with a coordinate "
                        "that begins with zero");
}
