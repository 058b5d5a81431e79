/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/backend.h"
#include "pkcs11/login.h"

/*
 * One ladder for all failures, since codes do not identify a fault: a fresh
 * session and the key found again, once; one login if the session says public;
 * then this process is of no more use.
 */
struct ladder {
    const struct backend_ops *ops;
    struct backend_session *session;
    struct login *login;
};

/* The work. Keeps nothing from the session across calls: it may be another. */
typedef enum token_result (*ladder_fn)(void *userdata,
                                       struct backend_error *reterr);

/**
 * ladder_run() - do it, and again as far as that may help
 *
 * Return: what @fn returned last; TOKEN_S_FAILED at the end of the ladder.
 * reterr->cure is BACKEND_CURE_NONE, or BACKEND_CURE_RESTART: exit after the
 * answer.
 */
enum token_result ladder_run(const struct ladder *l, ladder_fn fn,
                             void *userdata, struct backend_error *reterr);
