/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/queue.h>
#include <sys/uio.h>

#include "ipc/varlink-frame.h"
#include "ipc/varlink-server.h"

/*
 * Inside the server only.
 *
 * A connection has at most one call in flight; later requests wait in its
 * buffer, and when a whole one waits there nothing more is read. Answers leave
 * before the next request is looked at. So a connection holds at most one
 * request, 64 KiB of input and the rest of one answer.
 *
 * A call keeps its connection and uid alive until its last answer, also when
 * the peer and even the server are gone. `server` is NULL once closed.
 */

#define VARLINK_OUT_MAX (1024 * 1024)
#define VARLINK_SERVICE "org.varlink.service"

enum varlink_queued {
    VARLINK_QUEUED_NOT = 0,
    VARLINK_QUEUED_READY,  /* its turn comes (varlink-turn.c) */
    VARLINK_QUEUED_PARKED, /* its uid has too many calls; not read */
};

struct varlink_conn {
    unsigned n_refs;
    int fd;
    struct varlink_server *server;
    struct varlink_uid *uid;
    struct varlink_socket *socket;
    struct peer *peer;
    sd_event_source *source;
    uint32_t events; /* what source waits for */
    struct varlink_call *call;
    struct varlink_frames in;
    struct buf out;
    size_t out_pos;
    bool finishing; /* no more requests; closes when all is answered */
    bool at_eof;    /* the peer sends no more, but may still read */
    bool broken;    /* shut down; the event loop will close it */
    bool called_up; /* ready after it was parked */
    bool asleep;    /* the source is off until its turn: a hang-up stays one */
    enum varlink_queued queued;
    void *data;
    void (*data_free)(void *);
    TAILQ_ENTRY(varlink_conn) all;
    TAILQ_ENTRY(varlink_conn) queue;
};
TAILQ_HEAD(varlink_conns, varlink_conn);

struct varlink_call {
    struct varlink_conn *conn;
    json_t *root;
    const char *method;
    const json_t *parameters;
    bool oneway, more, upgrade;
    void (*gone_fn)(struct varlink_call *c, void *userdata);
    void *gone_userdata;
};

/* Connections and calls of one uid, on sockets of one share. */
struct varlink_uid {
    uid_t uid;
    unsigned share;
    unsigned n_refs;
    unsigned n_conns; /* open */
    unsigned n_calls; /* in flight, also of peers that are gone */
    struct varlink_server *server;
    struct varlink_conns parked;
    struct varlink_conns ready; /* not empty: the uid waits for its turn */
    uint64_t used_until_us;     /* for so long its part of the time is used */
    uint64_t rest_until_us;     /* it has used more: no turn before */
    TAILQ_ENTRY(varlink_uid) all;
    TAILQ_ENTRY(varlink_uid) turn;
};
TAILQ_HEAD(varlink_uids, varlink_uid);

/* A listening socket. */
struct varlink_socket {
    unsigned n_refs;
    int fd;
    int held; /* accepted, and waits for descriptors; or -1 */
    struct varlink_server *server;
    sd_event_source *source;
    struct varlink_listener listener;
    char *instance;
    uint64_t empty_since_us; /* CLOCK_BOOTTIME: nobody waited to be accepted */
    bool waiting;            /* somebody does: the source is off */
    TAILQ_ENTRY(varlink_socket) all;
};
TAILQ_HEAD(varlink_sockets, varlink_socket);

/* Whose turn it is (varlink-turn.c). */
struct varlink_turns {
    struct varlink_uids waiting; /* the next one first */
    sd_event_source *source;     /* on while somebody waits */
    sd_event_source *rest;       /* on while all who wait have to rest */
    unsigned n_sockets;          /* with connections to accept */
    uid_t last;                  /* who was served last */
    unsigned last_share;
    uint64_t shared_until_us; /* several are served */
};

struct varlink_server {
    sd_event *event;
    struct varlink_limits limits;
    struct varlink_info info;
    const struct varlink_interface **interfaces;
    size_t n_interfaces;
    struct varlink_sockets sockets;
    struct varlink_conns conns;
    struct varlink_uids uids;
    struct varlink_turns turns;
    sd_event_source *pause; /* on while accepting is paused */
    size_t n_conns;
    size_t n_calls;
    size_t n_unsent; /* connections with output that waits */
    bool stopping;
    void (*idle_fn)(void *);
    void *idle_userdata;
    uint8_t scratch[VARLINK_MESSAGE_MAX]; /* what a recv() gets */
};

/* varlink-refs.c */
struct varlink_conn *varlink_conn_ref(struct varlink_conn *c);
struct varlink_conn *varlink_conn_unref(struct varlink_conn *c);
DEFINE_CLEANUP(struct varlink_conn *, varlink_conn_unref)
#define CLEANUP_VARLINK_CONN CLEANUP(varlink_conn_unref_p)
struct varlink_socket *varlink_socket_unref(struct varlink_socket *l);
int varlink_uid_get(struct varlink_server *s, uid_t uid, unsigned share,
                    struct varlink_uid **ret) MUST_CHECK;
struct varlink_uid *varlink_uid_ref(struct varlink_uid *u);
struct varlink_uid *varlink_uid_unref(struct varlink_uid *u);
/* Below its limit of calls, whoever waited longest gets its turn. */
void varlink_uid_unpark(struct varlink_uid *u);

/* varlink-turn.c */
int varlink_turns_init(struct varlink_server *s) MUST_CHECK;
void varlink_turns_deinit(struct varlink_server *s);
/* There is something to do in on_turn(). */
void varlink_turns_wake(struct varlink_server *s);
void varlink_turns_queue(struct varlink_conn *c);
void varlink_turns_unqueue(struct varlink_conn *c);
/* Has somebody else the better right to be served now? */
bool varlink_turns_must_wait(const struct varlink_conn *c);
/* It is served now, by @fn. */
void varlink_turns_serve(struct varlink_conn *c,
                         void (*fn)(struct varlink_conn *c));

/* varlink-server.c */
void varlink_server_check_idle(struct varlink_server *s);
void varlink_server_tell_idle(struct varlink_server *s);
/* Accepts one of those who wait, if any. */
void varlink_server_accept(struct varlink_server *s);

/* varlink-conn.c; takes fd and peer on success. */
int varlink_conn_new(struct varlink_socket *l, int fd, struct peer *peer,
                     struct varlink_uid *uid) MUST_CHECK;
/* Read once, and let one request in. */
void varlink_conn_read(struct varlink_conn *c);
/* Its turn in the event loop. */
void varlink_conn_run(struct varlink_conn *c);
void varlink_conn_send(struct varlink_conn *c, struct iovec *iov, size_t n);
/* After anything changed: wait for the right things, or close. */
void varlink_conn_settle(struct varlink_conn *c);
void varlink_conn_close(struct varlink_conn *c);

/* varlink-call.c: a frame becomes the connection's call and is dispatched.
 * Return: 0; VARLINK_FRAME_E_INVALID; -ENOMEM. */
int varlink_call_start(struct varlink_conn *c, struct bytes frame) MUST_CHECK;
void varlink_call_tell_gone(struct varlink_call *c);

/* varlink-service.c */
void varlink_service_dispatch(struct varlink_call *c);
extern const struct varlink_interface varlink_service_interface;
