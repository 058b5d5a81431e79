/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/token-turn.h"

#include <errno.h>

#define NOBODY ((uid_t)-1)
/* Others count as signing for so long after a request. */
#define SHARED_US (100 * UINT64_C(1000))
/* Where a token does several things at once, others do not wait for more. */
#define REST_MAX_US 500

struct token_user {
    struct token_turns *turns;
    struct token_user *prev, *next;
    uid_t uid;
    unsigned n_entries;
    unsigned n_sent;
    uint64_t rest_until_us;
};

int token_turns_init(struct token_turns *t, sd_event *event,
                     const struct settings_token *settings,
                     sd_event_time_handler_t fn, void *userdata)
{
    int r;

    t->at_once = settings->sessions * settings->processes;
    t->last = NOBODY;
    r = sd_event_add_time(event, &t->rest, CLOCK_MONOTONIC, 0, 1, fn, userdata);
    if (r >= 0)
        r = sd_event_source_set_enabled(t->rest, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

void token_turns_deinit(struct token_turns *t)
{
    t->rest = sd_event_source_disable_unref(t->rest);
}

static struct token_user *add_user(struct token_turns *t, uid_t uid)
{
    struct token_user *u = malloc(sizeof(*u));

    if (!u)
        return NULL;
    *u = (struct token_user){ .turns = t, .uid = uid, .next = t->users };
    if (t->users)
        t->users->prev = u;
    t->users = u;
    return u;
}

int token_turns_join(struct token_turns *t, struct token_entry *e, uid_t uid,
                     uint64_t now_us)
{
    struct token_user *u = t->users;

    while (u && u->uid != uid)
        u = u->next;
    if (u && u->n_entries >= TOKEN_QUEUE_USER_MAX)
        return -EBUSY;
    if (!u)
        u = add_user(t, uid);
    if (!u)
        return -ENOMEM;
    if (uid != t->last && t->last != NOBODY)
        t->shared_until_us = now_us + SHARED_US;
    t->last = uid;
    u->n_entries++;
    t->n_entries++;
    e->user = u;
    return 0;
}

void token_turns_leave(const struct token_entry *e)
{
    struct token_user *u = e->user;

    if (!u)
        return;
    u->turns->n_entries--;
    if (--u->n_entries > 0)
        return;
    *(u->prev ? &u->prev->next : &u->turns->users) = u->next;
    if (u->next)
        u->next->prev = u->prev;
    free(u);
}

static void look_again(const struct token_turns *t, uint64_t at_us)
{
    int enabled = SD_EVENT_OFF;
    uint64_t set_us = 0;

    if (sd_event_source_get_enabled(t->rest, &enabled) >= 0 &&
        enabled != SD_EVENT_OFF &&
        sd_event_source_get_time(t->rest, &set_us) >= 0 && set_us <= at_us)
        return;
    (void)sd_event_source_set_time(t->rest, at_us);
    (void)sd_event_source_set_enabled(t->rest, SD_EVENT_ONESHOT);
}

bool token_turns_may_go(const struct token_turns *t,
                        const struct token_entry *e, uint64_t now_us)
{
    const struct token_user *u = e->user;

    if (!u)
        return true;
    if (now_us >= t->shared_until_us)
        return u->n_sent < 2 * t->at_once;
    if (u->n_sent >= (t->at_once + 1) / 2)
        return false;
    if (now_us >= u->rest_until_us)
        return true;
    look_again(t, u->rest_until_us);
    return false;
}

void token_turns_count(const struct token_entry *e, bool sent)
{
    if (e->user && sent)
        e->user->n_sent++;
    else if (e->user)
        e->user->n_sent--;
}

/* Where all have much to sign, nobody has to wait for somebody who rests. */
static bool is_flooding(const struct token_turns *t, const struct token_user *u)
{
    unsigned others = t->n_entries - u->n_entries;

    return u->n_entries > t->at_once && u->n_entries > 2 * others;
}

void token_turns_answered(const struct token_turns *t,
                          const struct token_entry *e, uint64_t now_us)
{
    uint64_t took_us = now_us - e->sent_us;

    if (!e->user || !is_flooding(t, e->user))
        return;
    if (t->at_once == 1)
        took_us += took_us / 2;
    else if (took_us > REST_MAX_US)
        took_us = REST_MAX_US;
    e->user->rest_until_us = now_us + took_us;
}
