/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/spin.h"

#include <sched.h>
#include <time.h>

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* The token that works on the only request there is; NULL: none, or more. */
static struct token *only_busy_token(const struct guardian *g)
{
    struct token *busy = NULL;

    for (size_t i = 0; i < g->n_tokens; i++) {
        size_t n = token_in_flight(g->tokens[i]);

        if (n > 1 || (n == 1 && busy))
            return NULL;
        if (n == 1)
            busy = g->tokens[i];
    }
    return busy;
}

/* May it be tried now? Each failure doubles the pause. */
static bool spin_may(struct spin_state *s)
{
    if (s->skip == 0)
        return true;
    s->skip--;
    return false;
}

static void spin_learn(struct spin_state *s, bool found)
{
    s->pause = found                          ? 0
               : s->pause == 0                ? 1
               : s->pause * 2 > SPIN_SKIP_MAX ? SPIN_SKIP_MAX
                                              : s->pause * 2;
    s->skip = s->pause;
}

static bool spin_token(struct guardian *g, struct token *t)
{
    uint64_t end = now_us() + SPIN_TOKEN_US;
    bool found;

    if (!spin_may(&g->spin_token))
        return false;
    do {
        found = token_poll(t);
        if (!found)
            (void)sched_yield();
    } while (!found && token_in_flight(t) == 1 && now_us() < end);
    spin_learn(&g->spin_token, found);
    return found;
}

static bool spin_client(struct guardian *g)
{
    uint64_t end = now_us() + SPIN_CLIENT_US;
    bool found;

    if (!spin_may(&g->spin_client))
        return false;
    do {
        found = varlink_server_poll(g->varlink) > 0;
        if (!found)
            (void)sched_yield();
    } while (!found && now_us() < end);
    spin_learn(&g->spin_client, found);
    return found;
}

int spin_after_turn(struct guardian *g)
{
    uint64_t turn_end = now_us() + SPIN_TURN_US;
    struct token *t = only_busy_token(g);
    int r;

    while (t && !g->stopping && spin_token(g, t)) {
        /* Another client's request may stand in the queue by now. */
        if (now_us() >= turn_end) {
            r = sd_event_run(g->event, 0);
            if (r)
                return r < 0 ? r : 0;
            turn_end = now_us() + SPIN_TURN_US;
        }
        if (token_in_flight(t) == 0 && !spin_client(g))
            return 0;
        t = only_busy_token(g);
    }
    return 0;
}
