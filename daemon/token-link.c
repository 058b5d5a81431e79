/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/token-link.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/helper.h"
#include "daemon/spawner.h"

#define PAUSE_MIN_US (100 * UINT64_C(1000))
#define PAUSE_MAX_US (10 * UINT64_C(1000000))
#define PATIENCE_US (1 * UINT64_C(1000000)) /* longer: answer at once */
#define GRACE_US (1 * UINT64_C(1000000))
#define TIMER_SLACK_US 10000

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct token_link *l = userdata;

    (void)s;
    (void)usec;
    l->o.on_pause_over(l->o.userdata);
    return 0;
}

static int on_grace_over(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct token_link *l = userdata;

    (void)s;
    (void)usec;
    if (l->helper_runs)
        spawner_kill(l->o.spawner, l->o.index);
    return 0;
}

static void on_helper_end(const char *error, void *userdata)
{
    struct token_link *l = userdata;

    l->helper_runs = false;
    (void)sd_event_source_set_enabled(l->kill, SD_EVENT_OFF);
    l->o.on_helper_end(error, l->o.userdata);
}

int token_link_add_timer(struct token_link *l, sd_event_source **ret,
                         sd_event_time_handler_t fn, void *userdata)
{
    int r;

    r = sd_event_add_time_relative(l->o.event, ret, CLOCK_MONOTONIC, 0,
                                   TIMER_SLACK_US, fn, userdata);
    if (r >= 0)
        r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

int token_link_init(struct token_link *l,
                    const struct token_link_options *options)
{
    int r;

    *l = (struct token_link){ .o = *options,
                              .fd = -1,
                              .pause_us = PAUSE_MIN_US };
    if (l->o.spawner)
        spawner_on_end(l->o.spawner, l->o.index, on_helper_end, l);
    r = token_link_add_timer(l, &l->pause, on_pause_over, l);
    return r ? r : token_link_add_timer(l, &l->kill, on_grace_over, l);
}

void token_link_deinit(struct token_link *l)
{
    if (l->o.spawner)
        spawner_on_end(l->o.spawner, l->o.index, NULL, NULL);
    sd_event_source_disable_unref(l->io);
    sd_event_source_disable_unref(l->pause);
    sd_event_source_disable_unref(l->kill);
    if (l->fd >= 0)
        close(l->fd);
}

static int reach(struct token_link *l, int *ret_fd, struct errmsg *reterr)
{
    int r;

    if (l->o.settings->helper_socket)
        return helper_connect(l->o.settings->helper_socket, ret_fd, reterr);
    r = spawner_start(l->o.spawner, l->o.index, ret_fd);
    if (r)
        errmsg_set(reterr, "cannot start the token helper: %s", strerror(-r));
    l->helper_runs = r == 0;
    return r;
}

int token_link_open(struct token_link *l, struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    int r;

    r = reach(l, &fd, reterr);
    if (r)
        return r;
    r = sd_event_add_io(l->o.event, &l->io, fd, EPOLLIN, l->o.on_io,
                        l->o.userdata);
    if (r < 0) {
        errmsg_set(reterr, "cannot watch the token helper: %s", strerror(-r));
        return r;
    }
    l->fd = TAKE_FD(fd);
    return 0;
}

void token_link_close(struct token_link *l)
{
    l->io = sd_event_source_disable_unref(l->io);
    close(l->fd);
    l->fd = -1;
    if (!l->helper_runs)
        return;
    (void)sd_event_source_set_time_relative(l->kill, GRACE_US);
    (void)sd_event_source_set_enabled(l->kill, SD_EVENT_ONESHOT);
}

void token_link_want_write(const struct token_link *l, bool want)
{
    if (l->io)
        (void)sd_event_source_set_io_events(l->io, want ? EPOLLIN | EPOLLOUT
                                                        : EPOLLIN);
}

void token_link_pause(struct token_link *l)
{
    (void)sd_event_source_set_time_relative(l->pause, l->pause_us);
    (void)sd_event_source_set_enabled(l->pause, SD_EVENT_ONESHOT);
    l->pause_us *= 2;
    if (l->pause_us > PAUSE_MAX_US)
        l->pause_us = PAUSE_MAX_US;
}

void token_link_relax(struct token_link *l)
{
    l->pause_us = PAUSE_MIN_US;
}

bool token_link_hopeless(const struct token_link *l)
{
    return l->pause_us >= PATIENCE_US;
}

uint64_t token_link_pause_ms(const struct token_link *l)
{
    uint64_t at = 0;
    uint64_t now = 0;

    (void)sd_event_now(l->o.event, CLOCK_MONOTONIC, &now);
    if (l->pause && sd_event_source_get_time(l->pause, &at) >= 0 && at > now)
        return (at - now) / 1000 + 1;
    return PAUSE_MIN_US / 1000;
}
