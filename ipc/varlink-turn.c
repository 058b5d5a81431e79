/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-conn.h"

#include <time.h>

/*
 * Whose turn it is.
 *
 * A request is served as soon as it is there while its uid is the only one, or
 * another one's was served before it and nobody waits. All others wait for a
 * turn: one uid after the other, of each one connection, one request. So who
 * has many connections, or many requests in each, gets no more than who has
 * one. The same for those who want to connect: one for each turn.
 *
 * Turns come after everything else in the event loop, so that who waits for the
 * first time is seen before the next turn; what is done there for somebody who
 * has to wait is to put him into the queue.
 *
 * That alone would leave others half of what they need, and less where requests
 * differ in cost or where this process has to be given a CPU first. So while
 * others are served a uid has half of the time at most, and a quarter if it has
 * more waiting: when it has used more than a moment's it rests.
 */

#define AFTER_ALL_ELSE (SD_EVENT_PRIORITY_NORMAL + 1)
/* Others count as being served for so long after a request. */
#define SHARED_US (100 * UINT64_C(1000))
#define MOMENT_US 400
#define REST_MAX_US (10 * UINT64_C(1000))
/* What a turn takes besides, in the event loop. */
#define LOOP_US 10

static uint64_t clock_us(clockid_t clock)
{
    struct timespec ts = { 0 };

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t loop_us(const struct varlink_server *s)
{
    uint64_t now = 0;

    (void)sd_event_now(s->event, CLOCK_MONOTONIC, &now);
    return now;
}

static bool is_shared(const struct varlink_server *s)
{
    return loop_us(s) < s->turns.shared_until_us;
}

static bool was_last(const struct varlink_turns *t, const struct varlink_uid *u)
{
    return t->last == u->uid && t->last_share == u->share;
}

bool varlink_turns_must_wait(const struct varlink_conn *c)
{
    const struct varlink_server *s = c->server;

    if (!TAILQ_EMPTY(&s->turns.waiting))
        return true;
    return is_shared(s) &&
           (was_last(&s->turns, c->uid) || loop_us(s) < c->uid->rest_until_us);
}

static void note(struct varlink_turns *t, const struct varlink_uid *u,
                 uint64_t now_us)
{
    if (was_last(t, u))
        return;
    t->shared_until_us = now_us + SHARED_US;
    t->last = u->uid;
    t->last_share = u->share;
}

static void account(struct varlink_uid *u, uint64_t took_us)
{
    uint64_t now_us = clock_us(CLOCK_MONOTONIC);
    bool more = u->n_calls > 1 || !TAILQ_EMPTY(&u->ready);
    uint64_t used_us = (more ? 4 : 2) * (took_us + LOOP_US);

    if (u->used_until_us < now_us)
        u->used_until_us = now_us;
    u->used_until_us += used_us < REST_MAX_US ? used_us : REST_MAX_US;
    if (u->used_until_us > now_us + MOMENT_US)
        u->rest_until_us = u->used_until_us;
}

/* The time of this thread: what others on the machine take is not its uid's. */
void varlink_turns_serve(struct varlink_conn *c,
                         void (*fn)(struct varlink_conn *c))
{
    struct varlink_server *s = c->server;
    struct varlink_uid *u = varlink_uid_ref(c->uid);
    uint64_t began_us = 0;
    bool shared;

    note(&s->turns, u, loop_us(s));
    shared = is_shared(s);
    if (shared)
        began_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
    fn(c);
    if (shared)
        account(u, clock_us(CLOCK_THREAD_CPUTIME_ID) - began_us);
    varlink_uid_unref(u);
}

void varlink_turns_wake(struct varlink_server *s)
{
    (void)sd_event_source_set_enabled(s->turns.source, SD_EVENT_ON);
}

void varlink_turns_queue(struct varlink_conn *c)
{
    struct varlink_server *s = c->server;

    if (TAILQ_EMPTY(&c->uid->ready))
        TAILQ_INSERT_TAIL(&s->turns.waiting, c->uid, turn);
    TAILQ_INSERT_TAIL(&c->uid->ready, c, queue);
    c->queued = VARLINK_QUEUED_READY;
    varlink_turns_wake(s);
}

void varlink_turns_unqueue(struct varlink_conn *c)
{
    if (c->queued == VARLINK_QUEUED_READY) {
        TAILQ_REMOVE(&c->uid->ready, c, queue);
        if (TAILQ_EMPTY(&c->uid->ready))
            TAILQ_REMOVE(&c->server->turns.waiting, c->uid, turn);
    } else if (c->queued == VARLINK_QUEUED_PARKED) {
        TAILQ_REMOVE(&c->uid->parked, c, queue);
    }
    c->queued = VARLINK_QUEUED_NOT;
}

/* The first who need not rest, or NULL and when that will be. */
static struct varlink_uid *next_uid(struct varlink_server *s,
                                    uint64_t *ret_when_us)
{
    bool shared = is_shared(s);
    uint64_t now = loop_us(s);
    struct varlink_uid *u;

    *ret_when_us = UINT64_MAX;
    TAILQ_FOREACH(u, &s->turns.waiting, turn)
    {
        /* cppcheck-suppress uninitvar */
        if (!shared || u->rest_until_us <= now)
            return u;
        if (u->rest_until_us < *ret_when_us)
            *ret_when_us = u->rest_until_us;
    }
    return NULL;
}

static void serve(struct varlink_uid *u)
{
    struct varlink_conn *c = TAILQ_FIRST(&u->ready);
    struct varlink_uids *waiting = &u->server->turns.waiting;

    varlink_turns_unqueue(c);
    /* The others of its uid wait until all other uids had a turn. */
    if (!TAILQ_EMPTY(&u->ready)) {
        TAILQ_REMOVE(waiting, u, turn);
        TAILQ_INSERT_TAIL(waiting, u, turn);
    }
    varlink_turns_serve(c, varlink_conn_run);
}

static void rest_until(struct varlink_server *s, uint64_t when_us)
{
    if (sd_event_source_set_time(s->turns.rest, when_us) < 0 ||
        sd_event_source_set_enabled(s->turns.rest, SD_EVENT_ONESHOT) < 0)
        return; /* then without a rest */
    (void)sd_event_source_set_enabled(s->turns.source, SD_EVENT_OFF);
}

static int on_turn(sd_event_source *source, void *userdata)
{
    struct varlink_server *s = userdata;
    uint64_t when_us;
    struct varlink_uid *u = next_uid(s, &when_us);

    if (u)
        serve(u);
    if (s->turns.n_sockets > 0)
        varlink_server_accept(s);
    if (!TAILQ_EMPTY(&s->turns.waiting)) {
        if (!u && s->turns.n_sockets == 0)
            rest_until(s, when_us);
        return 0;
    }
    if (s->turns.n_sockets > 0)
        return 0;
    (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    varlink_server_tell_idle(s);
    return 0;
}

static int on_rest_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    varlink_turns_wake(userdata);
    return 0;
}

int varlink_turns_init(struct varlink_server *s)
{
    struct varlink_turns *t = &s->turns;
    int r;

    TAILQ_INIT(&t->waiting);
    r = sd_event_add_defer(s->event, &t->source, on_turn, s);
    if (r >= 0)
        r = sd_event_source_set_priority(t->source, AFTER_ALL_ELSE);
    if (r >= 0)
        r = sd_event_source_set_enabled(t->source, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time(s->event, &t->rest, CLOCK_MONOTONIC, 0, 1,
                              on_rest_over, s);
    if (r >= 0)
        r = sd_event_source_set_enabled(t->rest, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

void varlink_turns_deinit(struct varlink_server *s)
{
    sd_event_source_disable_unref(s->turns.source);
    sd_event_source_disable_unref(s->turns.rest);
}
