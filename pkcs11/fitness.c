/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/fitness.h"

static bool known_untrue(const struct token_key *key, uint32_t attr)
{
    return (key->attrs_known & attr) && !(key->attrs & attr);
}

enum token_result fitness_check(const struct token_key *key,
                                struct backend_error *reterr)
{
    if (key->attrs & TOKEN_ATTR_SOFTWARE)
        return TOKEN_S_OK;
    if (known_untrue(key, TOKEN_ATTR_SENSITIVE))
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "key %s is not sensitive: the token gives it out",
                            key->label);
    if (known_untrue(key, TOKEN_ATTR_UNEXTRACTABLE))
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT, "key %s is extractable",
                            key->label);
    return TOKEN_S_OK;
}

enum token_result fitness_prove(const struct token_key *key,
                                struct backend_error *reterr)
{
    enum token_result r = fitness_check(key, reterr);

    if (r != TOKEN_S_OK || (key->attrs & TOKEN_ATTR_SOFTWARE))
        return r;
    if (!(key->attrs & TOKEN_ATTR_SENSITIVE))
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "the token does not say that key %s is sensitive",
                            key->label);
    if (!(key->attrs & TOKEN_ATTR_UNEXTRACTABLE))
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "the token does not say that key %s cannot be "
                            "extracted",
                            key->label);
    return TOKEN_S_OK;
}
