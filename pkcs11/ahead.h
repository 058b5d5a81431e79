/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "pkcs11/keycache.h"

/*
 * Beginning the next signature before anybody asks for it.
 *
 * With a token in software C_SignInit costs more than C_Sign. A session that is
 * asked for one key again and again does it right after an answer, while the
 * daemon and its client are at work, and not when the next request waits for
 * it. Nothing is signed ahead: that needs the message. Whatever else is asked,
 * or the same too late, gets a fresh session first.
 */

#define AHEAD_STREAK 8        /* signatures by one key in quick succession */
#define AHEAD_PAUSE_US 10000  /* what quick is: from answer to request */
#define AHEAD_FAST_US 3000    /* slower tokens have nothing to gain */
#define AHEAD_FRESH_US 100000 /* what was begun longer ago is dropped */

struct ahead {
    char label[TOKEN_LABEL_MAX + 8]; /* of the last signature's key */
    unsigned streak;
    uint64_t asked_us, answered_us;
    bool begun;
};

/*
 * ahead_take() - a request came
 *
 * Return: whether what was begun is in its way: the session has to be reset
 * before it is served.
 */
bool ahead_take(struct ahead *h, const struct token_request *request,
                bool key_is_known, uint64_t now_us) MUST_CHECK;

/* ahead_wanted() - it was answered: is the next one worth beginning? */
bool ahead_wanted(struct ahead *h, const struct token_request *request,
                  bool good, uint64_t now_us);
