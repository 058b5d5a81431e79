/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "daemon/admin.h"
#include "daemon/guardian.h"
#include "daemon/lacme.h"
#include "daemon/linger.h"
#include "daemon/message-ids.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/rotate.h"

/* Longer than a token's default Timeout= would only make systemd impatient. */
#define STOP_MS 10000

static const char *clock_status(enum host_clock c)
{
    switch (c) {
    case HOST_CLOCK_UNSYNCHRONISED:
        return ", clock not synchronised";
    case HOST_CLOCK_BEFORE_BUILD:
        return ", WRONG CLOCK";
    case HOST_CLOCK_UNKNOWN:
    case HOST_CLOCK_GOOD:
        break;
    }
    return "";
}

void guardian_tell_status(const struct guardian *g)
{
    char text[384];
    size_t ok = 0;

    for (size_t i = 0; i < g->n_tokens; i++)
        ok += strcmp(token_state(g->tokens[i]), "ok") == 0;
    (void)snprintf(text, sizeof(text),
                   "%zu accounts, %zu of %zu tokens ready, %zu rule "
                   "sets%s%s%s%s",
                   g->accounts.n, ok, g->n_tokens,
                   policy_set_n_rulesets(g->policy),
                   g->policy_error.text[0] ? ", POLICY NOT READ" : "",
                   g->audit ? "" : ", NO AUDIT LOG: NOTHING IS SIGNED",
                   clock_status(g->host.clock),
                   g->host.directories ? ", SOCKETS CAN BE REPLACED" : "");
    notify_status(text);
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si,
                     void *userdata)
{
    struct guardian *g = userdata;
    struct errmsg e = { 0 };

    (void)s;
    (void)si;
    notify_reloading();
    (void)guardian_audit(g);
    /* What went wrong is in the journal by then, and in Status. */
    if (reload_policy(g, &e))
        log_msg(LOG_WARNING, "Nothing was reloaded");
    notify_ready();
    guardian_tell_status(g);
    return 0;
}

void guardian_may_stop(struct guardian *g)
{
    if (g->stopping && varlink_server_pending(g->varlink) == 0 &&
        lacme_pending(g->lacme) == 0)
        (void)sd_event_exit(g->event, 0);
}

static void on_varlink_idle(void *userdata)
{
    guardian_may_stop(userdata);
}

static int on_stop_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct guardian *g = userdata;

    (void)s;
    (void)usec;
    log_msg(LOG_WARNING, "Stopping with %zu requests unanswered",
            varlink_server_pending(g->varlink) + lacme_pending(g->lacme));
    return sd_event_exit(g->event, 0);
}

static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si,
                        void *userdata)
{
    struct guardian *g = userdata;

    (void)s;
    if (g->stopping)
        return 0;
    g->stopping = true;
    log_msg(LOG_INFO, "Stopping (signal %u)", si->ssi_signo);
    notify_stopping("answering what is in flight");
    (void)sd_event_add_time_relative(g->event, &g->stop_timer, CLOCK_MONOTONIC,
                                     STOP_MS * 1000, 0, on_stop_timeout, g);
    varlink_server_on_idle(g->varlink, on_varlink_idle, g);
    admin_stop(g);
    rotate_stop(g);
    varlink_server_stop(g->varlink);
    lacme_stop(g->lacme);
    guardian_may_stop(g);
    return 0;
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static size_t in_flight(const struct guardian *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n_tokens; i++)
        n += token_in_flight(g->tokens[i]);
    return n;
}

/* sd_event_loop(), but for the lingering. */
static int guardian_loop(struct guardian *g)
{
    struct linger linger;
    bool awake = false;
    int code = 0;
    int r;

    linger_init(&linger);
    while (sd_event_get_state(g->event) != SD_EVENT_FINISHED) {
        r = sd_event_run(g->event, awake ? 0 : UINT64_MAX);
        if (r < 0)
            return r;
        if (r > 0)
            linger_note(&linger, in_flight(g), now_us());
        else
            (void)sched_yield();
        awake = linger_wants(&linger, now_us());
    }
    return sd_event_get_exit_code(g->event, &code) < 0 ? 0 : code;
}

int guardian_run(struct guardian *g)
{
    int r;

    r = sd_event_add_signal(g->event, NULL, SIGTERM, on_terminate, g);
    if (r >= 0)
        r = sd_event_add_signal(g->event, NULL, SIGINT, on_terminate, g);
    if (r >= 0)
        r = sd_event_add_signal(g->event, NULL, SIGHUP, on_hangup, g);
    if (r >= 0)
        r = sd_event_set_watchdog(g->event, true);
    if (r < 0)
        return r;
    notify_ready();
    guardian_tell_status(g);
    return guardian_loop(g);
}
