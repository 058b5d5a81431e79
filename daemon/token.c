/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/message-ids.h"
#include "daemon/token-link.h"
#include "daemon/token-turn.h"

/*
 * Idea: requests stand in two lists, waiting and sent, in the order in which
 * they came, but of each user only so many are sent that others are not kept
 * from signing (token-turn.h). When the connection ends, for whatever reason,
 * what may be repeated goes back to the front of the waiting once. The timer is
 * set when there is something to time and then left alone: on the hot path
 * nothing touches it.
 */

#define RX_BATCH 16

struct token {
    struct token_options o;
    struct token_link link;
    sd_event_source *timer;
    struct token_list waiting, sent;
    struct token_turns turns;
    uint64_t next_id;
    uint64_t connection; /* counts the helpers */
    uint64_t changes;    /* keys made and destroyed, asked and answered */
    bool answered;       /* this helper answered at least once */
    bool open;           /* this helper's keys were looked at: it may sign */
    bool refused;        /* this helper says that the token does not work */
    bool keys_unknown;   /* its keys could not be looked at */
    bool worked;         /* a helper before could sign: patience pays */
    bool blocked;        /* the connection takes no more for now */
    bool stopping;
    struct token_status status;
    char state[32];
    char text[TOKEN_TEXT_MAX + 64];
    struct {
        struct token_reply head;
        uint8_t data[TOKEN_DATA_MAX + 1];
    } rx;
};

static void token_connect(struct token *t);
static void token_disconnect(struct token *t, const char *why);
static void token_ask_status(struct token *t);

static uint64_t token_now(const struct token *t)
{
    uint64_t now = 0;

    (void)sd_event_now(t->o.event, CLOCK_MONOTONIC, &now);
    return now;
}

/* A change of state is worth one line, not one for each request. */
static void token_set_state(struct token *t, const char *state,
                            const char *text)
{
    bool ok = strcmp(state, "ok") == 0;
    bool same = strcmp(t->state, state) == 0 && strcmp(t->text, text) == 0;

    (void)snprintf(t->state, sizeof(t->state), "%s", state);
    (void)snprintf(t->text, sizeof(t->text), "%s", text);
    if (same)
        return;
    if (t->o.on_state)
        t->o.on_state(t, t->o.userdata);
    log_event(ok ? LOG_INFO : LOG_WARNING, MSG_TOKEN_STATE,
              (struct log_field[]){ { "GUARDIAN_TOKEN", t->o.settings->name },
                                    { "GUARDIAN_VERDICT", t->state },
                                    { "GUARDIAN_DETAIL", t->text } },
              3, "Token %s: %s%s%s", t->o.settings->name, t->state,
              text[0] ? ": " : "", t->text);
}

static void token_fail(const struct token *t, struct token_entry *e, int r,
                       const char *text)
{
    token_entry_answer(e,
                       &(struct token_answer){
                           .r = r,
                           .text = text,
                           .retry_after_ms = token_link_pause_ms(&t->link) });
}

static void token_drain(struct token *t, struct token_list *l, const char *text)
{
    while (l->first) {
        struct token_entry *e = l->first;

        token_list_remove(l, e);
        token_fail(t, e, -EHOSTDOWN, text);
    }
}

/* ---- deadlines ---- */

/* Return: whether there were any. *next becomes the earliest of the others. */
static bool token_expire(struct token *t, struct token_list *l, uint64_t now,
                         uint64_t *next)
{
    struct token_list due = { 0 };
    bool any;

    token_list_take_due(l, &due, now, next);
    any = due.n > 0;
    while (due.first) {
        struct token_entry *e = due.first;

        token_list_remove(&due, e);
        token_fail(t, e, -ETIMEDOUT,
                   "the token did not answer within its Timeout=");
    }
    return any;
}

static void token_arm_timer(struct token *t, uint64_t deadline_us)
{
    int enabled = SD_EVENT_OFF;
    uint64_t at = 0;

    if (sd_event_source_get_enabled(t->timer, &enabled) >= 0 &&
        enabled != SD_EVENT_OFF &&
        sd_event_source_get_time(t->timer, &at) >= 0 && at <= deadline_us)
        return;
    (void)sd_event_source_set_time(t->timer, deadline_us);
    (void)sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
}

static int token_on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct token *t = userdata;
    uint64_t now = token_now(t);
    uint64_t next = UINT64_MAX;

    (void)s;
    (void)usec;
    (void)token_expire(t, &t->waiting, now, &next);
    /* Its own watchdog should have ended it: closing is what makes sure. */
    if (token_expire(t, &t->sent, now, &next) && t->link.fd >= 0)
        token_disconnect(t, "it did not answer in time");
    if (next != UINT64_MAX)
        token_arm_timer(t, next); /* else off until the next request */
    return 0;
}

/* ---- sending ---- */

/* 0: sent; -EAGAIN: later; else the connection is gone. */
static int token_transmit(struct token *t, struct token_entry *e)
{
    if (send(t->link.fd, &e->request, e->len, MSG_DONTWAIT | MSG_NOSIGNAL) >=
        0) {
        e->sent_us = token_now(t);
        token_list_push(&t->sent, e);
        return 0;
    }
    return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
}

static bool token_may_go(const struct token *t, const struct token_entry *e)
{
    return t->open || e->request.op != TOKEN_OP_SIGN;
}

static bool token_goes_now(const struct token *t, const struct token_entry *e)
{
    return token_may_go(t, e) && token_turns_may_go(&t->turns, e, token_now(t));
}

static void token_block(struct token *t, bool blocked)
{
    if (t->blocked != blocked)
        token_link_want_write(&t->link, blocked);
    t->blocked = blocked;
}

static void token_flush(struct token *t)
{
    struct token_entry *next;
    int r = 0;

    if (t->link.fd < 0)
        return;
    for (struct token_entry *e = t->waiting.first; e && r == 0; e = next) {
        next = e->next;
        if (!token_goes_now(t, e))
            continue;
        token_list_remove(&t->waiting, e);
        r = token_transmit(t, e);
        if (r)
            token_list_push_first(&t->waiting, e);
    }
    if (r && r != -EAGAIN)
        token_disconnect(t, strerror(-r));
    else
        token_block(t, r == -EAGAIN);
}

static int token_on_rested(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    token_flush(userdata);
    return 0;
}

/* Nothing good will come soon: why wait? */
static bool token_is_hopeless(const struct token *t,
                              const struct token_entry *e)
{
    if (t->link.fd < 0 && (token_link_hopeless(&t->link) || t->stopping))
        return true;
    if (token_may_go(t, e))
        return false;
    if (t->link.fd < 0)
        return !t->worked && strcmp(t->state, "starting") != 0;
    return t->refused;
}

/* A second more than the helper gives itself. */
static uint64_t token_patience_us(const struct token *t, enum token_op op)
{
    uint64_t us = t->o.settings->timeout_ms * 1000;

    return (op == TOKEN_OP_GENERATE ? TOKEN_GENERATE_TIMEOUTS * us : us) +
           1000000;
}

void token_send(struct token *t, const struct token_ask *ask, token_done_fn fn,
                void *userdata)
{
    struct token_entry *e = token_entry_new(ask, t->next_id);

    /* Only what clients cause: who waits for a new helper must not be in the
     * way of looking at its keys. */
    if (!e ||
        (ask->op == TOKEN_OP_SIGN &&
         t->waiting.n + t->sent.n >= TOKEN_QUEUE_MAX) ||
        (ask->for_user &&
         token_turns_join(&t->turns, e, ask->uid, token_now(t)))) {
        token_entry_free(e);
        fn(&(struct token_answer){ .r = -EBUSY,
                                   .text = "too many requests wait for the "
                                           "token",
                                   .retry_after_ms = 1000 },
           userdata);
        return;
    }
    t->changes += token_op_changes_keys(ask->op);
    t->next_id++;
    e->fn = fn;
    e->userdata = userdata;
    e->deadline_us = token_now(t) + token_patience_us(t, ask->op);
    if (token_is_hopeless(t, e)) {
        token_fail(t, e, -EHOSTDOWN, t->text);
        return;
    }
    token_arm_timer(t, e->deadline_us);
    if (t->link.fd >= 0 && !t->blocked && token_goes_now(t, e)) {
        if (token_transmit(t, e) == 0)
            return;
        token_block(t, true); /* what is wrong is seen when it is not */
    }
    token_list_push(&t->waiting, e);
}

void token_open(struct token *t)
{
    t->open = true;
    t->worked = true;
    t->refused = t->keys_unknown = false;
    token_link_relax(&t->link);
    token_set_state(t, "ok", "");
    token_flush(t);
}

static void token_refuse(struct token *t, const struct token_answer *why)
{
    struct token_entry *next;

    t->refused = true;
    for (struct token_entry *e = t->waiting.first; e; e = next) {
        next = e->next;
        if (token_may_go(t, e))
            continue;
        token_list_remove(&t->waiting, e);
        token_entry_answer(e, why);
    }
}

/* ---- receiving ---- */

/* 1: a reply was handled; 0: nothing there; negative errno: gone. */
static int token_receive(struct token *t)
{
    struct token_entry *e;
    ssize_t n;

    n = recv(t->link.fd, &t->rx, sizeof(t->rx), MSG_DONTWAIT);
    if (n < 0)
        return errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    if ((size_t)n < sizeof(t->rx.head) ||
        t->rx.head.version != TOKEN_PROTO_VERSION ||
        t->rx.head.data_len != (size_t)n - sizeof(t->rx.head) ||
        t->rx.head.result == TOKEN_S_UNSET ||
        t->rx.head.result >= TOKEN_S_COUNT)
        return -EPROTO;
    e = token_list_find(&t->sent, t->rx.head.id);
    if (!e)
        return -EPROTO;
    t->rx.head.text[TOKEN_TEXT_MAX - 1] = '\0';
    t->answered = true;
    token_list_remove(&t->sent, e);
    token_turns_answered(&t->turns, e, token_now(t));
    t->changes += token_op_changes_keys((enum token_op)e->request.op);
    token_entry_answer(e,
                       &(struct token_answer){
                           .result = (enum token_result)t->rx.head.result,
                           .data = { t->rx.data, t->rx.head.data_len },
                           .text = t->rx.head.text,
                           .retry_after_ms = token_link_pause_ms(&t->link) });
    return 1;
}

static int token_on_io(sd_event_source *s, int fd, uint32_t revents,
                       void *userdata)
{
    struct token *t = userdata;
    int r = 1;

    (void)s;
    if (revents & EPOLLOUT)
        token_flush(t);
    /* The flush may have ended or replaced the connection. */
    for (int i = 0; r > 0 && t->link.fd == fd && i < RX_BATCH; i++) {
        r = token_receive(t);
        if (r > 0 && t->waiting.n > 0)
            token_flush(t);
        if (t->sent.n == 0 && !(revents & EPOLLHUP))
            break;
    }
    if (r < 0 && t->link.fd == fd)
        token_disconnect(t, r == -EPROTO ? "it broke the protocol"
                                         : "it went away");
    return 0;
}

/* ---- the connection ---- */

static void token_reconnect_later(struct token *t)
{
    if (t->stopping)
        return;
    /* It has failed a few times: those who wait get to know. */
    if (t->link.fd < 0 && token_link_hopeless(&t->link))
        token_drain(t, &t->waiting, t->text);
    token_link_pause(&t->link);
}

static void token_on_status(const struct token_answer *a, void *userdata)
{
    struct token *t = userdata;

    if (t->stopping)
        return;
    if (a->r == 0 && a->data.len == sizeof(t->status)) {
        memcpy(&t->status, a->data.data, sizeof(t->status));
        t->status.text[sizeof(t->status.text) - 1] = '\0';
    }
    if (a->r == 0 && a->result == TOKEN_S_OK &&
        t->status.result == TOKEN_S_OK) {
        t->refused = false;
        if (!t->keys_unknown)
            token_set_state(t, "ok", "");
        t->o.on_ready(t, t->o.userdata);
        return;
    }
    if (a->r == 0 && a->result == TOKEN_S_OK)
        token_set_state(t,
                        token_answer_code(&(struct token_answer){
                            .result = (enum token_result)t->status.result }),
                        t->status.text);
    else
        token_set_state(t, token_answer_code(a), a->text);
    token_refuse(t, &(struct token_answer){
                        .r = -EHOSTDOWN,
                        .text = t->text,
                        .retry_after_ms = token_link_pause_ms(&t->link) });
    /* Asked again until somebody has repaired it. */
    if (t->link.fd >= 0)
        token_reconnect_later(t);
}

void token_keys_unknown(struct token *t, const struct token_answer *why)
{
    /* Without a connection, the next helper's keys are looked at. */
    if (t->stopping || t->link.fd < 0 || t->open)
        return;
    t->keys_unknown = true;
    token_set_state(t, token_answer_code(why), why->text);
    token_refuse(t, why);
    token_reconnect_later(t);
}

static void token_ask_status(struct token *t)
{
    token_send(t, &(struct token_ask){ .op = TOKEN_OP_STATUS }, token_on_status,
               t);
}

struct token_refresh {
    struct token *token;
    void (*fn)(void *userdata);
    void *userdata;
};

static void token_on_refresh(const struct token_answer *a, void *userdata)
{
    struct token_refresh *refresh = userdata;

    token_on_status(a, refresh->token);
    refresh->fn(refresh->userdata);
    free(refresh);
}

void token_refresh(struct token *t, enum token_op op, void (*fn)(void *),
                   void *userdata)
{
    struct token_refresh *refresh = calloc(1, sizeof(*refresh));

    if (!refresh) {
        fn(userdata); /* what was known before still stands */
        return;
    }
    *refresh = (struct token_refresh){ t, fn, userdata };
    token_send(t, &(struct token_ask){ .op = op }, token_on_refresh, refresh);
}

/* The pause is over: connect, or ask a token that did not work once more. */
static void token_on_pause_over(void *userdata)
{
    struct token *t = userdata;

    if (t->link.fd >= 0)
        token_ask_status(t);
    else
        token_connect(t);
}

/* Our helper ended, or could not be started (@error is not empty): the next may
 * start. */
static void token_on_helper_end(const char *error, void *userdata)
{
    struct token *t = userdata;

    bool connected = t->link.fd >= 0;

    if (connected)
        token_disconnect(t, "it ended");
    if (error[0] && !t->stopping)
        token_set_state(t, "unreachable", error);
    if (!connected)
        token_reconnect_later(t);
}

static void token_disconnect(struct token *t, const char *why)
{
    struct token_list lost = { 0 };
    char text[128];

    token_link_close(&t->link);
    t->blocked = false;
    if (!t->answered || strcmp(t->state, "ok") == 0) {
        (void)snprintf(text, sizeof(text), "lost the token helper: %s%s", why,
                       t->o.settings->helper_socket
                           ? " (the journal of its unit may say why)"
                           : "");
        if (!t->stopping)
            token_set_state(t, "unreachable", text);
    }
    token_list_take_back(&t->sent, &t->waiting, &lost);
    if (!t->link.helper_runs)
        token_reconnect_later(t);
    while (lost.first) {
        struct token_entry *e = lost.first;

        token_list_remove(&lost, e);
        token_fail(t, e, -EHOSTDOWN, "the token helper ended meanwhile");
    }
}

static void token_connect(struct token *t)
{
    struct errmsg e = { .text = "cannot start the token helper" };

    if (token_link_open(&t->link, &e)) {
        token_set_state(t, "unreachable", e.text);
        if (!t->worked)
            token_refuse(t, &(struct token_answer){ .r = -EHOSTDOWN,
                                                    .text = t->text,
                                                    .retry_after_ms = 1000 });
        if (!t->link.helper_runs)
            token_reconnect_later(t);
        return;
    }
    t->connection++;
    t->answered = t->open = t->refused = t->keys_unknown = false;
    token_ask_status(t);
    token_flush(t);
}

void token_start(struct token *t)
{
    token_connect(t);
}

int token_new(const struct token_options *options, struct token **ret)
{
    struct token *t;
    int r;

    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->o = *options;
    t->next_id = 1;
    t->sent.sent = true;
    (void)snprintf(t->state, sizeof(t->state), "starting");
    (void)snprintf(t->text, sizeof(t->text), "the token helper is starting");
    r = token_link_init(&t->link, &(struct token_link_options){
                                      .event = t->o.event,
                                      .settings = t->o.settings,
                                      .spawner = t->o.spawner,
                                      .index = t->o.index,
                                      .on_io = token_on_io,
                                      .on_pause_over = token_on_pause_over,
                                      .on_helper_end = token_on_helper_end,
                                      .userdata = t });
    if (r == 0)
        r = token_link_add_timer(&t->link, &t->timer, token_on_timer, t);
    if (r == 0)
        r = token_turns_init(&t->turns, t->o.event, t->o.settings,
                             token_on_rested, t);
    if (r) {
        token_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

struct token *token_free(struct token *t)
{
    if (!t)
        return NULL;
    t->stopping = true;
    token_drain(t, &t->sent, "the daemon stops");
    token_drain(t, &t->waiting, "the daemon stops");
    sd_event_source_disable_unref(t->timer);
    token_turns_deinit(&t->turns);
    token_link_deinit(&t->link);
    free(t);
    return NULL;
}

const struct settings_token *token_settings(const struct token *t)
{
    return t->o.settings;
}

const struct token_status *token_status(const struct token *t)
{
    return &t->status;
}

const char *token_state(const struct token *t)
{
    return t->state;
}

const char *token_state_text(const struct token *t)
{
    return t->text;
}

bool token_spawned(const struct token *t)
{
    return !t->o.settings->helper_socket;
}

uint64_t token_connection(const struct token *t)
{
    return t->connection;
}

uint64_t token_changes(const struct token *t)
{
    return t->changes;
}

size_t token_in_flight(const struct token *t)
{
    return t->sent.n;
}
