/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/token-queue.h"

/*
 * Whose signatures a token helper is asked for. Used by token.c alone.
 *
 * The helper takes requests in the order in which they come: what one user has
 * there is what another one waits for. So a user has no more there than keeps
 * it busy. While others sign, too, it has half of that, and if it has far more
 * waiting than all of them a rest after each: so others come in twice where a
 * token does one thing at a time, and get a CPU where the token is a program on
 * this machine.
 */

#define TOKEN_QUEUE_USER_MAX (TOKEN_QUEUE_MAX / 2)

struct token_turns {
    struct token_user *users; /* of whom something is here */
    unsigned n_entries;       /* theirs */
    unsigned at_once;         /* so many requests does the helper work on */
    uid_t last;               /* who came last; (uid_t)-1: nobody yet */
    uint64_t shared_until_us; /* others have come within a moment */
    sd_event_source *rest;    /* until somebody has rested */
};

/* token_turns_init() - @fn is called when it is worth looking again. */
int token_turns_init(struct token_turns *t, sd_event *event,
                     const struct settings_token *settings,
                     sd_event_time_handler_t fn, void *userdata) MUST_CHECK;
void token_turns_deinit(struct token_turns *t);

/* token_turns_join() - @uid asked for it. Return: 0; -EBUSY: too much of it is
 * here; -ENOMEM. */
int token_turns_join(struct token_turns *t, struct token_entry *e, uid_t uid,
                     uint64_t now_us) MUST_CHECK;
void token_turns_leave(const struct token_entry *e);

/* token_turns_may_go() - is it its turn? If it is that of nobody, because its
 * user rests, it is looked at again when that is over. */
bool token_turns_may_go(const struct token_turns *t,
                        const struct token_entry *e, uint64_t now_us);

/* token_turns_count() - it was sent, or is no longer. */
void token_turns_count(const struct token_entry *e, bool sent);

/* token_turns_answered() - by the helper, just now. */
void token_turns_answered(const struct token_turns *t,
                          const struct token_entry *e, uint64_t now_us);
