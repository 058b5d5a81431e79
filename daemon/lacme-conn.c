/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/lacme-conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>

#include "acme/b64url.h"
#include "base/log.h"
#include "daemon/rotate.h"
#include "daemon/signer-account.h"

struct lacme_conn *lacme_conn_free(struct lacme_conn *c)
{
    if (!c)
        return NULL;
    if (c->prev)
        c->prev->next = c->next;
    else if (c->lacme->conns == c)
        c->lacme->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    if (c->hold)
        hold_cancel(c->hold);
    sd_event_source_disable_unref(c->source);
    if (c->fd >= 0)
        close(c->fd);
    peer_free(c->peer);
    buf_deinit(&c->in);
    free(c);
    return NULL;
}

/* A decision or the loop over lines still needs it: freed after that. */
static void lacme_conn_drop(struct lacme_conn *c)
{
    c->dead = true;
    if (c->busy)
        c->source = sd_event_source_disable_unref(c->source);
    else if (!c->serving)
        lacme_conn_free(c);
}

/* Answers are short and one at a time: who does not read them is no lacme. */
static bool lacme_conn_write(const struct lacme_conn *c, const struct buf *b)
{
    return send(c->fd, b->data, b->len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (ssize_t)b->len;
}

static int format_signature(struct bytes signature, struct buf *b)
{
    int r;

    r = b64url_encode(signature, b);
    return r ? r : buf_append_str(b, "\r\n");
}

static void lacme_conn_serve(struct lacme_conn *c);

static void lacme_on_decided(const struct decide_outcome *o, void *userdata)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct lacme_conn *c = userdata;
    struct lacme *l = c->lacme;

    c->busy = false;
    if (o->reason || c->dead || format_signature(o->signature, &b) ||
        !lacme_conn_write(c, &b) || l->stopping)
        c->dead = true;
    if (!c->serving)
        lacme_conn_serve(c);
    if (l->stopping)
        guardian_may_stop(l->guardian);
}

/* The first whole line, if there is one, moves to @ret. */
static bool lacme_conn_take_line(struct lacme_conn *c, struct buf *ret)
{
    const uint8_t *end = c->in.len ? memchr(c->in.data, '\n', c->in.len) : NULL;
    struct buf rest = { 0 };
    size_t len;

    if (!end)
        return false;
    len = (size_t)(end - c->in.data) + 1;
    if (len < c->in.len &&
        buf_append(&rest, c->in.data + len, c->in.len - len)) {
        c->dead = true;
        return false;
    }
    *ret = c->in;
    ret->len = len;
    c->in = rest;
    return true;
}

/* Counted as what no rule allows is: whoever sends it can send it for ever. */
static void lacme_conn_note_garbage(const struct lacme_conn *c)
{
    struct guardian *g = c->lacme->guardian;

    if (g->audit)
        audit_count_refusal(g->audit, c->peer->uid);
    if (log_limit_take(&g->log_denied, g->event))
        log_msg(LOG_NOTICE, "lacme socket %s: what uid %u sent is no request",
                c->listener->instance, c->peer->uid);
}

static void lacme_conn_decide(struct lacme_conn *c, struct bytes line)
{
    struct decide_input in = { .peer = c->peer,
                               .socket = c->listener->instance,
                               .account = c->account,
                               .thumbprint = c->thumbprint,
                               .may_finish = true };

    if (line.len < 2 || line.data[line.len - 2] != '\r' ||
        lacme_split_line((struct bytes){ line.data, line.len - 2 },
                         &in.protected_b64, &in.payload_b64)) {
        lacme_conn_note_garbage(c);
        c->dead = true;
        return;
    }
    c->busy = true;
    decide_sign(c->lacme->guardian, &in, lacme_on_decided, c);
}

static void lacme_conn_serve(struct lacme_conn *c)
{
    bool more = true;

    c->serving = true;
    while (more && !c->busy && !c->dead) {
        CLEANUP_BUF struct buf line = { 0 };

        more = lacme_conn_take_line(c, &line);
        if (more)
            lacme_conn_decide(c, buf_bytes(&line));
    }
    c->serving = false;
    if (!more && c->in.len > LACME_LINE_MAX)
        c->dead = true;
    if (c->dead)
        lacme_conn_drop(c);
    else
        (void)sd_event_source_set_enabled(c->source,
                                          c->busy ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int lacme_on_io(sd_event_source *s, int fd, uint32_t revents,
                       void *userdata)
{
    struct lacme_conn *c = userdata;
    uint8_t chunk[16384];
    ssize_t n;

    (void)s;
    (void)revents;
    n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && (errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (n <= 0 || buf_append(&c->in, chunk, (size_t)n))
        lacme_conn_drop(c);
    else
        lacme_conn_serve(c);
    return 0;
}

static int lacme_conn_greet(const struct lacme_conn *c)
{
    const struct acme_account *a = &c->account->row.acme;
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = buf_printf(&b, "1 OK {\"alg\":\"%s\",\"jwk-thumbprint\":\"%s\"",
                   jws_alg_name(jwk_alg(&a->jwk)), a->thumbprint);
    /* With it lacme need not look the account up on every run. */
    if (r == 0 && a->account_url) {
        r = buf_append_str(&b, ",\"kid\":");
        if (r == 0)
            r = buf_append_json(&b, bytes_from_str(a->account_url));
    }
    if (r == 0)
        r = buf_append_str(&b, "}\r\n");
    if (r == 0)
        r = jwk_format(&a->jwk, &b);
    if (r == 0)
        r = buf_append_str(&b, "\r\n");
    if (r)
        return r;
    return lacme_conn_write(c, &b) ? 0 : -EPIPE;
}

static bool lacme_too_many(const struct lacme *l, uid_t uid)
{
    unsigned n = 0;

    for (const struct lacme_conn *c = l->conns; c; c = c->next)
        n += c->peer->uid == uid;
    return n >= l->guardian->settings->connections_per_user;
}

/* Who may not use the account is not greeted: the journal says why. */
static int lacme_admit(const struct lacme_listener *ll, const struct peer *peer,
                       struct account **ret)
{
    struct guardian *g = ll->lacme->guardian;
    struct refusal refusal;

    if (lacme_too_many(ll->lacme, peer->uid))
        return -EMFILE;
    if (signer_account_find(g, peer, ll->instance, ll->account, ret,
                            &refusal)) {
        g->n_no_rule++;
        if (g->audit)
            audit_count_refusal(g->audit, peer->uid);
        if (log_limit_take(&g->log_denied, g->event))
            log_msg(LOG_NOTICE,
                    "lacme socket %s: no rule lets uid %u use account %s, or "
                    "there is no such account",
                    ll->instance, peer->uid, ll->account);
        return -EACCES;
    }
    return 0;
}

/* lacme computes its key authorizations with the key that it is greeted with:
 * not with one that is about to go. */
static void lacme_on_released(bool released, void *userdata)
{
    struct lacme_conn *c = userdata;

    c->hold = NULL;
    memcpy(c->thumbprint, c->account->row.acme.thumbprint,
           sizeof(c->thumbprint));
    if (!released || lacme_conn_greet(c) ||
        sd_event_source_set_enabled(c->source, SD_EVENT_ON) < 0)
        lacme_conn_free(c);
}

static int lacme_conn_welcome(struct lacme_conn *c)
{
    enum rotate_gate gate = rotate_gate(c->account);
    int r;

    if (gate != ROTATE_HELD && gate != ROTATE_ORDERS_HELD)
        return lacme_conn_greet(c);
    r = sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
    return r < 0 ? r
                 : hold_add(&c->account->hold, c->lacme->guardian->event,
                            ROTATION_HOLD_MS, lacme_on_released, c, &c->hold);
}

int lacme_conn_new(const struct lacme_listener *ll, int fd)
{
    struct lacme *l = ll->lacme;
    CLEANUP_PEER struct peer *peer = NULL;
    struct account *account = NULL;
    struct lacme_conn *c;
    int r;

    r = peer_new(fd, l->guardian->options.use_peerpidfd, &peer);
    if (r == 0)
        r = lacme_admit(ll, peer, &account);
    if (r)
        return r;
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct lacme_conn){ .lacme = l,
                              .listener = ll,
                              .fd = -1,
                              .peer = TAKE_PTR(peer),
                              .account = account };
    memcpy(c->thumbprint, account->row.acme.thumbprint, sizeof(c->thumbprint));
    r = sd_event_add_io(l->guardian->event, &c->source, fd, EPOLLIN,
                        lacme_on_io, c);
    c->fd = r >= 0 ? fd : -1;
    if (r >= 0)
        r = lacme_conn_welcome(c);
    if (r < 0) {
        c->fd = -1; /* the caller's still */
        lacme_conn_free(c);
        return r;
    }
    c->next = l->conns;
    if (l->conns)
        l->conns->prev = c;
    l->conns = c;
    return 0;
}
