/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/token-queue.h"

#include <errno.h>
#include <string.h>

#include "daemon/token-turn.h"

struct token_entry *token_entry_new(const struct token_ask *ask, uint64_t id)
{
    struct token_entry *e;

    if (ask->data.len > TOKEN_DATA_MAX ||
        (ask->label && strlen(ask->label) > TOKEN_LABEL_MAX))
        return NULL;
    e = malloc(sizeof(*e) + ask->data.len);
    if (!e)
        return NULL;
    *e = (struct token_entry){
        .len = sizeof(e->request) + ask->data.len,
        .request = { .version = TOKEN_PROTO_VERSION,
                     .op = ask->op,
                     .id = id,
                     .alg = ask->alg,
                     .rsa_bits = ask->rsa_bits,
                     .data_len = (uint32_t)ask->data.len },
    };
    if (ask->label)
        memcpy(e->request.label, ask->label, strlen(ask->label));
    if (ask->data.len)
        memcpy(&e->request + 1, ask->data.data, ask->data.len);
    return e;
}

void token_list_push(struct token_list *l, struct token_entry *e)
{
    if (l->sent)
        token_turns_count(e, true);
    e->next = NULL;
    e->prev = l->last;
    *(l->last ? &l->last->next : &l->first) = e;
    l->last = e;
    l->n++;
}

void token_list_push_first(struct token_list *l, struct token_entry *e)
{
    if (l->sent)
        token_turns_count(e, true);
    e->prev = NULL;
    e->next = l->first;
    *(l->first ? &l->first->prev : &l->last) = e;
    l->first = e;
    l->n++;
}

void token_list_remove(struct token_list *l, struct token_entry *e)
{
    if (l->sent)
        token_turns_count(e, false);
    *(e->prev ? &e->prev->next : &l->first) = e->next;
    *(e->next ? &e->next->prev : &l->last) = e->prev;
    e->prev = e->next = NULL;
    l->n--;
}

struct token_entry *token_list_find(const struct token_list *l, uint64_t id)
{
    struct token_entry *e = l->first;

    while (e && e->request.id != id)
        e = e->next;
    return e;
}

void token_list_take_due(struct token_list *l, struct token_list *due,
                         uint64_t now_us, uint64_t *next_us)
{
    struct token_entry *after;

    for (struct token_entry *e = l->first; e; e = after) {
        after = e->next;
        if (e->deadline_us <= now_us) {
            token_list_remove(l, e);
            token_list_push(due, e);
        } else if (e->deadline_us < *next_us) {
            *next_us = e->deadline_us;
        }
    }
}

void token_list_take_back(struct token_list *sent, struct token_list *waiting,
                          struct token_list *lost)
{
    struct token_entry *prev;

    for (struct token_entry *e = sent->last; e; e = prev) {
        prev = e->prev;
        token_list_remove(sent, e);
        if (token_entry_repeatable(e) && !e->again) {
            e->again = true;
            token_list_push_first(waiting, e);
        } else {
            token_list_push_first(lost, e);
        }
    }
}

bool token_op_changes_keys(enum token_op op)
{
    return op == TOKEN_OP_GENERATE || op == TOKEN_OP_DESTROY;
}

bool token_entry_repeatable(const struct token_entry *e)
{
    switch ((enum token_op)e->request.op) {
    case TOKEN_OP_STATUS:
    case TOKEN_OP_LIST:
    case TOKEN_OP_FIND:
    case TOKEN_OP_FIND_URI:
    case TOKEN_OP_SIGN:
        return true;
    case TOKEN_OP_GENERATE:
    case TOKEN_OP_DESTROY:
    case TOKEN_OP_UNLOCK:
    case TOKEN_OP_UNSET:
    case TOKEN_OP_COUNT:
        break;
    }
    return false;
}

void token_entry_free(struct token_entry *e)
{
    if (e)
        token_turns_leave(e);
    free(e);
}

void token_entry_answer(struct token_entry *e, const struct token_answer *a)
{
    e->fn(a, e->userdata);
    token_entry_free(e);
}
