/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/ladder.h"

static bool is_final(enum token_result r, const struct backend_error *err)
{
    return r == TOKEN_S_OK || err->cure == BACKEND_CURE_NONE;
}

/* Everything but a definite answer ends here: the restart is the cure. */
static enum token_result give_up(enum token_result r, struct backend_error *err)
{
    if (is_final(r, err))
        return r;
    err->cure = BACKEND_CURE_RESTART;
    return r;
}

static enum token_result again(const struct ladder *l, ladder_fn fn,
                               void *userdata, struct backend_error *reterr)
{
    enum token_result r = l->ops->session_reset(l->session, reterr);

    if (r == TOKEN_S_OK)
        return fn(userdata, reterr);
    if (reterr->cure == BACKEND_CURE_NONE)
        reterr->cure = BACKEND_CURE_RESTART;
    return r;
}

enum token_result ladder_run(const struct ladder *l, ladder_fn fn,
                             void *userdata, struct backend_error *reterr)
{
    unsigned logins = login_generation(l->login);
    enum token_result r = fn(userdata, reterr);

    if (is_final(r, reterr))
        return r;
    if (reterr->cure == BACKEND_CURE_SESSION)
        r = again(l, fn, userdata, reterr);
    if (is_final(r, reterr) || reterr->cure != BACKEND_CURE_LOGIN)
        return give_up(r, reterr);

    r = login_again(l->login, logins, reterr);
    if (r != TOKEN_S_OK) {
        /* The next process starts with the exact answer to everything. */
        reterr->cure = BACKEND_CURE_RESTART;
        return r;
    }
    return give_up(again(l, fn, userdata, reterr), reterr);
}
