/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

/*
 * Comparing a token's keys with the registry (design section 9): the current
 * key of each account must be there and be the one the registry knows, and no
 * higher generation may be (a restored backup, a second daemon). An account
 * that fails this is "needs-resolve".
 *
 * A rotation that is not over knows two generations: its new key may be there
 * before the CA has it, and must be once the CA may have it.
 */

struct keycheck_fns {
    void (*key)(const struct token_key *key, void *userdata); /* may be NULL */
    /* The keys that were told are void: it begins anew, since keys came or went
     * while it looked. Goes with key. */
    void (*again)(void *userdata);
    void (*done)(const struct token_answer *answer, void *userdata);
    void *userdata;
};

/* keycheck_start() - fns->done is called exactly once, perhaps at once; with
 * -ESTALE when the token's helper was replaced while it answered, -EBUSY when
 * keys come and go all the time. */
void keycheck_start(struct guardian *g, struct token *t,
                    const struct keycheck_fns *fns);
