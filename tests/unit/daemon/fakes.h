/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/audit.h"
#include "daemon/token.h"

/*
 * An audit log and a token that only remember what they were asked, linked in
 * place of the real ones.
 */
struct fakes {
    /* the order of what happened: 'a' audit line, 't' token, 's' synced */
    char order[16];
    int write_error, sync_error;
    bool no_audit;
    unsigned lines, refusals;
    char verdict[32], reason[64], rule[128];
    /* the token */
    unsigned asked;
    char label[TOKEN_LABEL_MAX + 8];
    char input[4096];
    uint64_t connection, changes;
    struct token_answer answer; /* given at once, unless: */
    bool hold;
    void (*on_ask)(const struct token_ask *ask); /* sets the answer; or NULL */
    token_done_fn held_fn;
    void *held_userdata;
};
extern struct fakes fakes;

/* fakes_reset() - all works; the token gives 64 octets. */
void fakes_reset(void);
