/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/token.h"

/* The requests to one token helper: those that wait and those that were sent.
 * Used by token.c alone. */

#define TOKEN_QUEUE_MAX 1024

struct token_user;

struct token_entry {
    struct token_entry *prev, *next;
    struct token_user *user; /* token-turn.h; NULL: our own request */
    token_done_fn fn;
    void *userdata;
    uint64_t deadline_us;
    uint64_t sent_us;
    bool again;                   /* was sent once to a helper that died */
    size_t len;                   /* of the datagram */
    struct token_request request; /* and its data behind it */
};

struct token_list {
    struct token_entry *first, *last;
    size_t n;
    bool sent; /* what is in it counts as its user's */
};

/* token_entry_new() - NULL: no memory, or a label or data that is too long. */
struct token_entry *token_entry_new(const struct token_ask *ask, uint64_t id);

void token_list_push(struct token_list *l, struct token_entry *e);
void token_list_push_first(struct token_list *l, struct token_entry *e);
void token_list_remove(struct token_list *l, struct token_entry *e);
struct token_entry *token_list_find(const struct token_list *l, uint64_t id);

/* token_list_take_due() - whose deadline is over moves to @due. *next becomes
 * the earliest of the others, if it was later. */
void token_list_take_due(struct token_list *l, struct token_list *due,
                         uint64_t now_us, uint64_t *next_us);

/* token_list_take_back() - what may be sent again goes back to the front of
 * @waiting, once; the rest into @lost. */
void token_list_take_back(struct token_list *sent, struct token_list *waiting,
                          struct token_list *lost);

/* token_entry_repeatable() - asking twice does no harm. */
/* token_op_changes_keys() - a key is made or destroyed by it. */
bool token_op_changes_keys(enum token_op op);
bool token_entry_repeatable(const struct token_entry *e);

/* token_entry_free() - it is in no list. token_entry_answer() - calls its
 * function and frees it. */
void token_entry_free(struct token_entry *e);
void token_entry_answer(struct token_entry *e, const struct token_answer *a);
