/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/spawner.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>

#include "base/log.h"
#include "base/nursery.h"
#include "daemon/helper.h"

struct seat {
    spawner_ended_fn fn;
    void *userdata;
};

struct spawner {
    struct spawner_options o;
    struct nursery nursery;
    sd_event *event;
    sd_event_source *io;
    struct seat *seats; /* by token */
};

/* In the nursery. */
static int on_start(uint32_t id, uint32_t arg, int fd, void *userdata,
                    pid_t *ret_pid)
{
    const struct spawner *s = userdata;

    (void)arg;
    return helper_exec(s->o.program, s->o.config_dir,
                       s->o.settings->tokens[id].name, fd, ret_pid);
}

int spawner_new(const struct spawner_options *options, struct spawner **ret)
{
    struct spawner *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    *s = (struct spawner){ .o = *options, .nursery = NURSERY_NONE };
    s->seats = calloc(options->settings->n_tokens, sizeof(*s->seats));
    r = s->seats ? nursery_open(
                       &(struct nursery_options){
                           .name = "token-spawner",
                           .n_ids = (uint32_t)options->settings->n_tokens,
                           .start = on_start,
                           .userdata = s },
                       &s->nursery)
                 : -ENOMEM;
    if (r) {
        spawner_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

struct spawner *spawner_free(struct spawner *s)
{
    if (!s)
        return NULL;
    sd_event_source_disable_unref(s->io);
    sd_event_unref(s->event);
    nursery_close(&s->nursery);
    free(s->seats);
    free(s);
    return NULL;
}

static void dispatch(struct spawner *s, const struct nursery_event *event)
{
    const struct settings *settings = s->o.settings;
    const char *name = settings->tokens[event->id].name;
    const struct seat *seat = &s->seats[event->id];
    struct errmsg error = { 0 };

    if (event->kind == NURSERY_STARTED) {
        log_msg(LOG_DEBUG, "Token %s: helper %d started", name, event->value);
        return;
    }
    if (event->kind == NURSERY_NOT_STARTED)
        helper_cannot_start(s->o.program, -event->value, name, &error);
    else
        log_msg(LOG_DEBUG, "Token %s: helper ended (%d)", name,
                WIFEXITED(event->value) ? WEXITSTATUS(event->value)
                                        : -WTERMSIG(event->value));
    if (seat->fn)
        seat->fn(error.text, seat->userdata);
}

static int on_event(sd_event_source *source, int fd, uint32_t revents,
                    void *userdata)
{
    struct spawner *s = userdata;
    struct nursery_event event;
    int r;

    (void)source;
    (void)fd;
    (void)revents;
    r = nursery_receive(&s->nursery, &event);
    if (r == 0 && event.id < s->o.settings->n_tokens) {
        dispatch(s, &event);
        return 0;
    }
    if (r == -EAGAIN)
        return 0;
    log_msg(LOG_ERR, "The process that starts the token helpers is gone, and "
                     "this one may not start another: ending");
    s->io = sd_event_source_disable_unref(s->io);
    return sd_event_exit(s->event, -ECHILD);
}

int spawner_attach(struct spawner *s, sd_event *event)
{
    int r = sd_event_add_io(event, &s->io, s->nursery.fd, EPOLLIN, on_event, s);

    if (r < 0)
        return r;
    s->event = sd_event_ref(event);
    return 0;
}

void spawner_on_end(struct spawner *s, size_t token, spawner_ended_fn fn,
                    void *userdata)
{
    s->seats[token] = (struct seat){ fn, userdata };
}

int spawner_start(struct spawner *s, size_t token, int *ret_fd)
{
    CLEANUP_FD int ours = -1;
    CLEANUP_FD int theirs = -1;
    int pair[2];
    int r;

    /* Blocking, as the helper's workers want it; we say MSG_DONTWAIT. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    ours = pair[0];
    theirs = pair[1];
    r = nursery_spawn(&s->nursery, (uint32_t)token, 0, theirs);
    if (r)
        return r;
    *ret_fd = TAKE_FD(ours);
    return 0;
}

void spawner_kill(struct spawner *s, size_t token)
{
    nursery_end(&s->nursery, (uint32_t)token);
}

pid_t spawner_pid(const struct spawner *s)
{
    return s->nursery.pid;
}
