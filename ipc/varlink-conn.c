/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* One accepted connection: bytes in, turns, bytes out. See varlink-conn.h. */

static bool has_output(const struct varlink_conn *c)
{
    return c->out.len > c->out_pos;
}

static void drop_output(struct varlink_conn *c)
{
    if (has_output(c))
        c->server->n_unsent--;
    buf_deinit(&c->out);
    c->out_pos = 0;
}

void varlink_conn_close(struct varlink_conn *c)
{
    struct varlink_server *s = c->server;

    if (!s)
        return;
    varlink_turns_unqueue(c);
    drop_output(c);
    varlink_frames_deinit(&c->in);
    c->source = sd_event_source_disable_unref(c->source);
    close(TAKE_FD(c->fd));
    TAILQ_REMOVE(&s->conns, c, all);
    s->n_conns--;
    c->server = NULL;

    c->uid->n_conns--;
    /* It may have been its turn. */
    varlink_uid_unpark(c->uid);
    if (c->call)
        varlink_call_tell_gone(c->call);
    varlink_server_check_idle(s);
    varlink_conn_unref(c);
}

/*
 * For use below an answer: closing at once would call the owner of a call in
 * flight back while it is answering. After shutdown() the event loop reports a
 * hang-up, and that closes.
 */
static void conn_break(struct varlink_conn *c)
{
    drop_output(c);
    c->broken = true;
    c->finishing = true;
    (void)shutdown(c->fd, SHUT_RDWR);
}

static void wait_for(struct varlink_conn *c, uint32_t events)
{
    if (events == c->events)
        return;
    if (sd_event_source_set_io_events(c->source, events) < 0) {
        conn_break(c);
        return;
    }
    c->events = events;
}

void varlink_conn_settle(struct varlink_conn *c)
{
    uint32_t events = has_output(c) ? EPOLLOUT : 0;
    bool whole;

    if (!c->server || c->broken)
        return;
    if (c->server->stopping)
        c->finishing = true;
    whole = !c->finishing && varlink_frames_whole(&c->in);

    if (!c->call && !has_output(c)) {
        if (c->finishing || (c->at_eof && !whole)) {
            varlink_conn_close(c);
            return;
        }
        if (whole && c->queued == VARLINK_QUEUED_NOT)
            varlink_turns_queue(c);
    }

    /*
     * With a request waiting, reading stops when more comes, not before: most
     * often nothing does, and two epoll_ctl() are saved.
     */
    if (!c->finishing && !c->at_eof && c->queued != VARLINK_QUEUED_PARKED)
        events |= whole || c->queued == VARLINK_QUEUED_READY
                      ? c->events & EPOLLIN
                      : EPOLLIN;
    wait_for(c, events);
}

static bool uid_is_full(const struct varlink_conn *c)
{
    return c->uid->n_calls >= c->server->limits.requests_per_uid;
}

/* Who was called up, but found the place taken again, stays first. */
static void park(struct varlink_conn *c)
{
    varlink_turns_unqueue(c);
    if (c->called_up)
        TAILQ_INSERT_HEAD(&c->uid->parked, c, queue);
    else
        TAILQ_INSERT_TAIL(&c->uid->parked, c, queue);
    c->called_up = false;
    c->queued = VARLINK_QUEUED_PARKED;
    varlink_conn_settle(c);
}

static void start_call(struct varlink_conn *c, struct bytes frame)
{
    if (varlink_call_start(c, frame) != 0)
        c->finishing = true;
}

/* Let the first of the buffered requests in, if it may. */
static bool run_buffered(struct varlink_conn *c)
{
    struct bytes frame;

    if (c->finishing || c->call || has_output(c) ||
        !varlink_frames_next(&c->in, &frame))
        return false;
    start_call(c, frame);
    varlink_frames_trim(&c->in);
    return true;
}

static bool is_oversized(struct varlink_conn *c)
{
    return varlink_frames_len(&c->in) >= VARLINK_MESSAGE_MAX &&
           !varlink_frames_whole(&c->in);
}

/* What came in, @len octets in the scratch buffer; one request is let in. */
static void take_input(struct varlink_conn *c, size_t len)
{
    const uint8_t *data = c->server->scratch;
    const uint8_t *nul = NULL;
    size_t used;
    int r = 0;

    /* The common case is one whole request, which needs no copy. */
    if (!c->call && !has_output(c) && varlink_frames_len(&c->in) == 0)
        nul = memchr(data, 0, len);
    used = nul ? (size_t)(nul - data) + 1 : 0;
    if (used < len)
        r = varlink_frames_add(&c->in, data + used, len - used);
    if (r != 0 || is_oversized(c))
        c->finishing = true;
    else if (nul)
        start_call(c, (struct bytes){ data, used - 1 });
    else
        (void)run_buffered(c);
}

void varlink_conn_read(struct varlink_conn *c)
{
    CLEANUP_VARLINK_CONN struct varlink_conn *ref = varlink_conn_ref(c);
    ssize_t n;

    (void)ref;
    if (c->finishing || c->at_eof)
        return;
    if (varlink_frames_whole(&c->in)) {
        wait_for(c, c->events & ~(uint32_t)EPOLLIN);
        return;
    }
    if (!c->call && uid_is_full(c)) {
        park(c);
        return;
    }

    n = recv(c->fd, c->server->scratch,
             VARLINK_MESSAGE_MAX - varlink_frames_len(&c->in), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        varlink_conn_close(c);
        return;
    }
    if (n == 0)
        c->at_eof = true;
    else
        take_input(c, (size_t)n);
    varlink_conn_settle(c);
}

/* Nothing that it has sent is left: its place is free at once. */
static bool is_at_end(struct varlink_conn *c)
{
    uint8_t octet;
    ssize_t n;

    if (varlink_frames_whole(&c->in))
        return false;
    n = recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Until its turn, what it has sent is no reason to wake up. */
static void hold_back(struct varlink_conn *c, bool hangup)
{
    if (c->queued == VARLINK_QUEUED_NOT)
        varlink_turns_queue(c);
    if (!hangup)
        wait_for(c, c->events & ~(uint32_t)EPOLLIN);
    else if (sd_event_source_set_enabled(c->source, SD_EVENT_OFF) >= 0)
        c->asleep = true;
}

static void wake(struct varlink_conn *c)
{
    if (c->asleep && sd_event_source_set_enabled(c->source, SD_EVENT_ON) >= 0)
        c->asleep = false;
}

void varlink_conn_run(struct varlink_conn *c)
{
    CLEANUP_VARLINK_CONN struct varlink_conn *ref = varlink_conn_ref(c);

    (void)ref;
    wake(c);
    if (!c->call && uid_is_full(c)) {
        park(c);
        return;
    }
    /* Without a whole request it was parked unread. */
    if (!run_buffered(c) && !c->call && !has_output(c))
        varlink_conn_read(c);
    c->called_up = false;
    if (!c->server)
        return;
    varlink_uid_unpark(c->uid);
    varlink_conn_settle(c);
}

static ssize_t send_now(struct varlink_conn *c, struct iovec *iov, size_t n)
{
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
    ssize_t sent = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return sent;
}

/* Keep what was not sent, from @skip on. */
static int queue_output(struct varlink_conn *c, const struct iovec *iov,
                        size_t n, size_t skip)
{
    for (size_t i = 0; i < n; i++) {
        size_t off = skip < iov[i].iov_len ? skip : iov[i].iov_len;
        bool first = !has_output(c);
        int r;

        skip -= off;
        if (off == iov[i].iov_len)
            continue;
        r = buf_append(&c->out, (const uint8_t *)iov[i].iov_base + off,
                       iov[i].iov_len - off);
        if (r)
            return r;
        if (first)
            c->server->n_unsent++;
    }
    return c->out.len - c->out_pos > VARLINK_OUT_MAX ? -ENOBUFS : 0;
}

void varlink_conn_send(struct varlink_conn *c, struct iovec *iov, size_t n)
{
    ssize_t sent = 0;

    if (!c->server || c->broken)
        return;
    if (!has_output(c))
        sent = send_now(c, iov, n);
    if (sent < 0 || queue_output(c, iov, n, (size_t)sent) != 0)
        conn_break(c);
}

static void flush(struct varlink_conn *c)
{
    struct iovec iov = { c->out.data + c->out_pos, c->out.len - c->out_pos };
    ssize_t sent;

    if (!has_output(c))
        return;
    sent = send_now(c, &iov, 1);
    if (sent < 0) {
        conn_break(c);
        return;
    }
    if ((size_t)sent == iov.iov_len)
        drop_output(c);
    else
        c->out_pos += (size_t)sent;
    varlink_conn_settle(c);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents,
                 void *userdata)
{
    struct varlink_conn *c = userdata;
    CLEANUP_VARLINK_CONN struct varlink_conn *ref = varlink_conn_ref(c);
    bool hangup = revents & (EPOLLHUP | EPOLLERR);

    (void)source;
    (void)fd;
    (void)ref;
    /* What was sent before a hang-up still counts, if it can be read now. */
    if (hangup && (c->call || c->finishing || c->at_eof || has_output(c) ||
                   c->queued == VARLINK_QUEUED_PARKED)) {
        varlink_conn_close(c);
        return 0;
    }
    if (revents & EPOLLOUT)
        flush(c);
    if (!c->server || !(hangup || (revents & EPOLLIN)))
        return 0;
    if (c->queued == VARLINK_QUEUED_READY ||
        (!c->call && !has_output(c) && varlink_turns_must_wait(c))) {
        if (hangup && is_at_end(c))
            varlink_conn_close(c);
        else
            hold_back(c, hangup);
        return 0;
    }
    if (c->call)
        varlink_conn_read(c);
    else
        varlink_turns_serve(c, varlink_conn_read);
    return 0;
}

int varlink_conn_new(struct varlink_socket *l, int fd, struct peer *peer,
                     struct varlink_uid *uid)
{
    struct varlink_server *s = l->server;
    struct varlink_conn *c = malloc(sizeof(*c));
    int r;

    if (!c)
        return -ENOMEM;
    *c = (struct varlink_conn){ .n_refs = 1, .fd = fd, .events = EPOLLIN };
    r = sd_event_add_io(s->event, &c->source, fd, EPOLLIN, on_io, c);
    if (r < 0) {
        free(c);
        return r;
    }

    c->server = s;
    c->peer = peer;
    c->uid = varlink_uid_ref(uid);
    c->uid->n_conns++;
    c->socket = l;
    l->n_refs++;
    TAILQ_INSERT_TAIL(&s->conns, c, all);
    s->n_conns++;
    return 0;
}
