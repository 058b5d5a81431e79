/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct fakes fakes;

void fakes_reset(void)
{
    static const uint8_t signature[64] = { 's' };

    fakes = (struct fakes){
        .answer = { .result = TOKEN_S_OK,
                    .data = { signature, sizeof(signature) },
                    .text = "" },
    };
}

static void note(char what)
{
    size_t n = strlen(fakes.order);

    if (n + 1 < sizeof(fakes.order))
        fakes.order[n] = what;
}

static void copy(char *to, size_t len, const char *from)
{
    (void)snprintf(to, len, "%s", from ? from : "");
}

/* ---- audit.h ---- */

int audit_open(const struct settings *settings, sd_event *event,
               struct audit **ret, struct errmsg *reterr)
{
    (void)settings;
    (void)event;
    (void)ret;
    errmsg_set(reterr, "no audit log here");
    return -EIO;
}

int audit_write(struct audit *a, const struct audit_event *event)
{
    (void)a;
    note('a');
    if (fakes.write_error)
        return fakes.write_error;
    fakes.lines++;
    copy(fakes.verdict, sizeof(fakes.verdict), event->verdict);
    copy(fakes.reason, sizeof(fakes.reason), event->reason);
    copy(fakes.rule, sizeof(fakes.rule), event->rule);
    return 0;
}

void audit_write_refusal(struct audit *a, const struct audit_event *event)
{
    (void)a;
    fakes.refusals++;
    copy(fakes.verdict, sizeof(fakes.verdict), event->verdict);
    copy(fakes.reason, sizeof(fakes.reason), event->reason);
    copy(fakes.rule, sizeof(fakes.rule), event->rule);
}

int audit_when_synced(struct audit *a, void (*fn)(int r, void *userdata),
                      void *userdata)
{
    (void)a;
    note('s');
    fn(fakes.sync_error, userdata);
    return 0;
}

int audit_state(const struct audit *a)
{
    (void)a;
    return 0;
}

int audit_reserve_state(const struct audit *a)
{
    (void)a;
    return 0;
}

uint64_t audit_head(const struct audit *a, uint8_t ret_mac[static 32])
{
    (void)a;
    memset(ret_mac, 0, 32);
    return 0;
}

const char *audit_file(const struct audit *a)
{
    (void)a;
    return "";
}

bool audit_first_key_waiting(const struct audit *a)
{
    (void)a;
    return false;
}

int audit_take_first_key(struct audit *a, uint8_t ret_key[static 32])
{
    (void)a;
    (void)ret_key;
    return -ENOENT;
}

int audit_rotate(struct audit *a, char **ret_file)
{
    (void)a;
    (void)ret_file;
    return -EIO;
}

void audit_count_refusal(struct audit *a, uid_t uid)
{
    (void)a;
    (void)uid;
}

void audit_write_suppressed(struct audit *a)
{
    (void)a;
}

void audit_forget(struct audit *a, const void *userdata)
{
    (void)a;
    (void)userdata;
}

void audit_subscribe(struct audit *a, struct audit_subscriber *s)
{
    (void)a;
    (void)s;
}

void audit_unsubscribe(struct audit *a, struct audit_subscriber *s)
{
    (void)a;
    (void)s;
}

int audit_replay_orders(const struct audit *a, uint64_t since_ms,
                        audit_order_fn fn, void *userdata)
{
    (void)a;
    (void)since_ms;
    (void)fn;
    (void)userdata;
    return 0;
}

struct audit *audit_close(struct audit *a)
{
    (void)a;
    return NULL;
}

/* ---- token.h ---- */

void token_send(struct token *t, const struct token_ask *ask, token_done_fn fn,
                void *userdata)
{
    (void)t;
    note('t');
    fakes.asked++;
    copy(fakes.label, sizeof(fakes.label), ask->label);
    (void)snprintf(fakes.input, sizeof(fakes.input), "%.*s", (int)ask->data.len,
                   (const char *)ask->data.data);
    if (fakes.on_ask)
        fakes.on_ask(ask);
    if (fakes.hold) {
        fakes.held_fn = fn;
        fakes.held_userdata = userdata;
        return;
    }
    fn(&fakes.answer, userdata);
}

int token_new(const struct token_options *options, struct token **ret)
{
    (void)options;
    (void)ret;
    return -ENOMEM;
}

struct token *token_free(struct token *t)
{
    (void)t;
    return NULL;
}

void token_start(struct token *t)
{
    (void)t;
}

void token_open(struct token *t)
{
    (void)t;
}

void token_keys_unknown(struct token *t, const struct token_answer *why)
{
    (void)t;
    (void)why;
}

uint64_t token_connection(const struct token *t)
{
    (void)t;
    return fakes.connection;
}

uint64_t token_changes(const struct token *t)
{
    (void)t;
    return fakes.changes;
}

void token_refresh(struct token *t, enum token_op op, void (*fn)(void *),
                   void *userdata)
{
    (void)t;
    (void)op;
    fn(userdata);
}

const struct settings_token *token_settings(const struct token *t)
{
    static char name[] = "hsm", prefix[] = "pre";
    static const struct settings_token settings = { .name = name,
                                                    .key_prefix = prefix };

    (void)t;
    return &settings;
}

const struct token_status *token_status(const struct token *t)
{
    static const struct token_status status;

    (void)t;
    return &status;
}

const char *token_state(const struct token *t)
{
    (void)t;
    return "ok";
}

const char *token_state_text(const struct token *t)
{
    (void)t;
    return "";
}

bool token_spawned(const struct token *t)
{
    (void)t;
    return true;
}

size_t token_in_flight(const struct token *t)
{
    (void)t;
    return 0;
}
