/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "acme/jwk.h"
#include "base/settings.h"
#include "ipc/token-proto.h"

/*
 * The client of one token helper (ipc/token-proto.h). The helper is a unit of
 * its own behind HelperSocket=, or our child. It is allowed to die at any time:
 * it is started again with growing pauses, and requests that may be repeated
 * are sent once more within their deadline. Nobody waits longer than
 * Timeout= and a second.
 */

struct spawner;
struct token;

struct token_ask {
    enum token_op op;
    bool for_user; /* TOKEN_OP_SIGN: @uid asked for it, and has its share */
    uid_t uid;
    const char *label; /* or NULL */
    enum jws_alg alg;
    unsigned rsa_bits;
    struct bytes data;
};

/**
 * struct token_answer - what became of a request
 *
 * @r: 0 (the helper answered: look at @result); -EBUSY (too many wait, or too
 *     many of this user);
 *     -EHOSTDOWN (no helper); -ETIMEDOUT.
 */
struct token_answer {
    int r;
    enum token_result result;
    struct bytes data; /* when TOKEN_S_OK; borrowed */
    const char *text;  /* for people: what failed */
    uint64_t retry_after_ms;
};
typedef void (*token_done_fn)(const struct token_answer *answer,
                              void *userdata);

bool token_answer_ok(const struct token_answer *a);

/* token_answer_code() - "ok", "no-key", "pin-wrong", "timeout", ... */
const char *token_answer_code(const struct token_answer *a);

struct token_options {
    sd_event *event;
    const struct settings_token *settings; /* borrowed */
    struct spawner *spawner; /* of our own helper; NULL with HelperSocket= */
    size_t index;            /* the token, there */
    /*
     * Called whenever a helper (again) says that the token works: the keys are
     * looked at then. Until token_open() signing waits, for each helper anew:
     * it may have come back with another token.
     */
    void (*on_ready)(struct token *t, void *userdata);
    void (*on_state)(struct token *t, void *userdata); /* it changed; or NULL */
    void *userdata;
};

int token_new(const struct token_options *options,
              struct token **ret) MUST_CHECK;
struct token *token_free(struct token *t);

/* token_start() - connect, and keep connected. */
void token_start(struct token *t);

/*
 * token_open() - this helper's keys were looked at: signing may begin, and what
 * waited goes out. token_keys_unknown() - they could not be: what waited is
 * answered @why, and on_ready() is called again after a while.
 */
void token_open(struct token *t);
void token_keys_unknown(struct token *t, const struct token_answer *why);

/* token_connection() - another number for each helper. */
uint64_t token_connection(const struct token *t);

/* token_changes() - another number whenever a key may have come or gone. */
uint64_t token_changes(const struct token *t);

/**
 * token_send() - ask the helper
 *
 * @fn is called exactly once, perhaps before this returns. Everything in @ask
 * is copied.
 */
void token_send(struct token *t, const struct token_ask *ask, token_done_fn fn,
                void *userdata);

/* token_refresh() - ask for the status (TOKEN_OP_STATUS, _UNLOCK) anew; @fn is
 * called when token_status() and token_state() say what came of it. */
void token_refresh(struct token *t, enum token_op op, void (*fn)(void *),
                   void *userdata);

const struct settings_token *token_settings(const struct token *t);

/* The newest TOKEN_OP_STATUS answer; all zero: none yet. */
const struct token_status *token_status(const struct token *t);

/* token_state() - a word: "ok", "starting", "unreachable", "pin-wrong", ...
 * token_state_text() - and a sentence. */
const char *token_state(const struct token *t);
const char *token_state_text(const struct token *t);

/* token_spawned() - the helper is our child, with our user. */
bool token_spawned(const struct token *t);

/* token_in_flight() - sent and not yet answered. */
size_t token_in_flight(const struct token *t);
