/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

/*
 * Listening sockets.
 *
 * The event loop is entered through a socket per listener and connection;
 * through turns, on while somebody waits (varlink-turn.c); and `pause`, on
 * while descriptors have run out.
 */

#define PAUSE_US (100 * 1000)
#define SPARE_FDS 8

static void socket_close(struct varlink_socket *l)
{
    TAILQ_REMOVE(&l->server->sockets, l, all);
    l->server->turns.n_sockets -= l->waiting;
    l->source = sd_event_source_disable_unref(l->source);
    close(TAKE_FD(l->fd));
    if (l->held >= 0)
        close(TAKE_FD(l->held));
    l->server = NULL;
    varlink_socket_unref(l);
}

size_t varlink_server_pending(const struct varlink_server *s)
{
    return s->n_calls + s->n_unsent;
}

size_t varlink_server_connections(const struct varlink_server *s)
{
    return s->n_conns;
}

/* Told from the event loop: now we may be deep inside an answer. */
void varlink_server_check_idle(struct varlink_server *s)
{
    if (s->stopping && s->idle_fn && varlink_server_pending(s) == 0)
        varlink_turns_wake(s);
}

void varlink_server_tell_idle(struct varlink_server *s)
{
    if (s->stopping && s->idle_fn && varlink_server_pending(s) == 0)
        TAKE_PTR(s->idle_fn)(s->idle_userdata);
}

void varlink_server_on_idle(struct varlink_server *s, void (*fn)(void *),
                            void *userdata)
{
    s->idle_fn = fn;
    s->idle_userdata = userdata;
    varlink_server_check_idle(s);
}

static uint64_t boottime_us(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_BOOTTIME, &ts) < 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void enable_listeners(struct varlink_server *s, int enabled)
{
    struct varlink_socket *l;

    TAILQ_FOREACH(l, &s->sockets, all)
    {
        /* cppcheck-suppress uninitvar */
        if (!l->waiting)
            (void)sd_event_source_set_enabled(l->source, enabled);
    }
}

/* Out of descriptors: the queue stays readable, so asking again at once would
 * spin. */
static void pause_accepting(struct varlink_server *s)
{
    if (sd_event_source_set_time_relative(s->pause, PAUSE_US) < 0 ||
        sd_event_source_set_enabled(s->pause, SD_EVENT_ONESHOT) < 0)
        return;
    enable_listeners(s, SD_EVENT_OFF);
}

DEFINE_CLEANUP(struct varlink_uid *, varlink_uid_unref)

/*
 * The lowest free number is given first, so all below are in use. What is left
 * is for looking up names, the token, the log's next file: a user that cannot
 * be looked up would be refused as one that no rule names.
 */
static bool is_one_of_the_last(int fd)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
           (rlim_t)fd + SPARE_FDS >= limit.rlim_cur;
}

/* The limit comes before everything that costs more than one system call. */
static int find_share(const struct varlink_socket *l, int fd,
                      struct varlink_uid **ret)
{
    struct varlink_server *s = l->server;
    CLEANUP(varlink_uid_unref_p) struct varlink_uid *u = NULL;
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int r;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    r = varlink_uid_get(s, cred.uid, l->listener.share, &u);
    if (r)
        return r;
    if (u->n_conns >= s->limits.connections_per_uid)
        return -EUSERS;
    *ret = TAKE_PTR(u);
    return 0;
}

static int admit(struct varlink_socket *l, int *fd)
{
    CLEANUP(varlink_uid_unref_p) struct varlink_uid *u = NULL;
    CLEANUP_PEER struct peer *peer = NULL;
    int r;

    r = find_share(l, *fd, &u);
    if (r == 0 && is_one_of_the_last(*fd))
        r = -EMFILE;
    if (r)
        return r;
    r = peer_new_connected_after(*fd, l->listener.use_peerpidfd,
                                 l->empty_since_us, &peer);
    if (r)
        return r;
    if (l->listener.admit && !l->listener.admit(peer, l->listener.userdata))
        return -EACCES;
    r = varlink_conn_new(l, *fd, peer, u);
    if (r)
        return r;
    *fd = -1;
    peer = NULL;
    return 0;
}

/* By the lowest number that is free now, which tells how many are left. */
static int take_held(struct varlink_socket *l)
{
    CLEANUP_FD int fd = TAKE_FD(l->held);
    int lowest = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return lowest < 0 ? TAKE_FD(fd) : lowest;
}

/* Return: 0 to go on, 1 when nobody waits, negative errno. */
static int accept_one(struct varlink_socket *l)
{
    uint64_t now_us = boottime_us();
    CLEANUP_FD int fd = take_held(l);
    int r;

    if (fd < 0)
        fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && errno == EAGAIN) {
        l->empty_since_us = now_us;
        return 1;
    }
    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
    r = admit(l, &fd);
    if (r != -EMFILE && r != -ENFILE)
        return 0;
    l->held = TAKE_FD(fd);
    return r;
}

/* Who connects waits for a turn as requests do: a storm of connections is kept
 * apart from those who have one. */
static void set_waiting(struct varlink_socket *l, bool waiting)
{
    if (sd_event_source_set_enabled(l->source,
                                    waiting ? SD_EVENT_OFF : SD_EVENT_ON) < 0 ||
        l->waiting == waiting)
        return;
    l->waiting = waiting;
    if (waiting)
        l->server->turns.n_sockets++;
    else
        l->server->turns.n_sockets--;
    varlink_turns_wake(l->server);
}

static struct varlink_socket *next_waiting(struct varlink_server *s)
{
    struct varlink_socket *l;

    TAILQ_FOREACH(l, &s->sockets, all)
    {
        /* cppcheck-suppress uninitvar */
        if (l->waiting)
            break;
    }
    if (l) {
        TAILQ_REMOVE(&s->sockets, l, all);
        TAILQ_INSERT_TAIL(&s->sockets, l, all);
    }
    return l;
}

void varlink_server_accept(struct varlink_server *s)
{
    struct varlink_socket *l = next_waiting(s);
    int r = l ? accept_one(l) : 0;

    if (r)
        set_waiting(l, false);
    if (r < 0)
        pause_accepting(s);
}

static int on_connect(sd_event_source *source, int fd, uint32_t revents,
                      void *userdata)
{
    (void)source;
    (void)fd;
    (void)revents;
    set_waiting(userdata, true);
    return 0;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct varlink_server *s = userdata;
    struct varlink_socket *l;

    (void)source;
    (void)usec;
    enable_listeners(s, SD_EVENT_ON);
    TAILQ_FOREACH(l, &s->sockets, all)
    {
        /* cppcheck-suppress uninitvar */
        if (l->held >= 0)
            set_waiting(l, true);
    }
    return 0;
}

int varlink_server_listen(struct varlink_server *s, int fd,
                          const struct varlink_listener *listener)
{
    struct varlink_socket *l;
    int flags = fcntl(fd, F_GETFL);
    int r;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    l = malloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    *l = (struct varlink_socket){
        .n_refs = 1, .fd = fd, .held = -1, .server = s, .listener = *listener
    };
    if (listener->instance) {
        l->instance = strdup(listener->instance);
        l->listener.instance = l->instance;
    }
    r = listener->instance && !l->instance ? -ENOMEM : 0;
    if (r == 0)
        r = sd_event_add_io(s->event, &l->source, fd, EPOLLIN, on_connect, l);
    if (r < 0) {
        varlink_socket_unref(l);
        return r;
    }
    TAILQ_INSERT_TAIL(&s->sockets, l, all);
    return 0;
}

int varlink_server_add(struct varlink_server *s,
                       const struct varlink_interface *interface)
{
    const struct varlink_interface **all;

    for (size_t i = 0; i < s->n_interfaces; i++) {
        if (strcmp(s->interfaces[i]->name, interface->name) == 0)
            return -EEXIST;
    }
    all = reallocarray(s->interfaces, s->n_interfaces + 1,
                       sizeof(struct varlink_interface *));
    if (!all)
        return -ENOMEM;
    s->interfaces = all;
    s->interfaces[s->n_interfaces++] = interface;
    return 0;
}

static int server_init_sources(struct varlink_server *s)
{
    int r;

    r = varlink_turns_init(s);
    if (r >= 0)
        r = sd_event_add_time_relative(s->event, &s->pause, CLOCK_MONOTONIC,
                                       PAUSE_US, 0, on_pause_over, s);
    if (r >= 0)
        r = sd_event_source_set_enabled(s->pause, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

DEFINE_CLEANUP(struct varlink_server *, varlink_server_free)

int varlink_server_new(sd_event *event, const struct varlink_limits *limits,
                       const struct varlink_info *info,
                       struct varlink_server **ret)
{
    CLEANUP(varlink_server_free_p) struct varlink_server *s = NULL;
    int r;

    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->event = sd_event_ref(event);
    s->limits = *limits;
    s->info = *info;
    TAILQ_INIT(&s->sockets);
    TAILQ_INIT(&s->conns);
    TAILQ_INIT(&s->uids);

    r = server_init_sources(s);
    if (r == 0)
        r = varlink_server_add(s, &varlink_service_interface);
    if (r)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

void varlink_server_stop(struct varlink_server *s)
{
    struct varlink_socket *l;
    struct varlink_conn *c;
    struct varlink_conn *next;

    s->stopping = true;
    while ((l = TAILQ_FIRST(&s->sockets)))
        socket_close(l);
    for (c = TAILQ_FIRST(&s->conns); c; c = next) {
        next = TAILQ_NEXT(c, all);
        varlink_turns_unqueue(c);
        varlink_conn_settle(c);
    }
    varlink_server_check_idle(s);
}

/* Calls that somebody still holds live on without a server. */
struct varlink_server *varlink_server_free(struct varlink_server *s)
{
    struct varlink_conn *c;
    struct varlink_uid *u;

    if (!s)
        return NULL;
    s->idle_fn = NULL;
    varlink_server_stop(s);
    while ((c = TAILQ_FIRST(&s->conns)))
        varlink_conn_close(c);
    while ((u = TAILQ_FIRST(&s->uids))) {
        TAILQ_REMOVE(&s->uids, u, all);
        u->server = NULL;
    }
    varlink_turns_deinit(s);
    sd_event_source_disable_unref(s->pause);
    sd_event_unref(s->event);
    free(s->interfaces);
    free(s);
    return NULL;
}
