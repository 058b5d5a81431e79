/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/bytes.h"
#include "ipc/peer.h"
#include "ipc/varlink-frame.h"

/*
 * A Varlink service (https://varlink.org) on sd-event: NUL-terminated JSON
 * messages of at most VARLINK_MESSAGE_MAX octets, requests on a connection are
 * pipelined and answered in order. org.varlink.service is built in. What a peer
 * sends wrong costs its own connection only: what is no request (too long, no
 * JSON object, nested deeper than 16, a member twice, unknown or of a wrong
 * type, "oneway" with "more") is not answered but ends the connection, after
 * the answers to what came before. A peer that does not read its answers is not
 * read either, and closed when 1 MiB waits for it.
 */

struct varlink_server;
struct varlink_call; /* one request, until its (last) answer */

struct varlink_limits {
    unsigned connections_per_uid; /* more are closed at accept */
    unsigned requests_per_uid;    /* in flight; more wait unread */
};

struct varlink_info {
    const char *vendor, *product, *version, *url;
};

/*
 * Requests of one connection run one after the other, and never two in one turn
 * of the event loop. A method answers exactly once (or many times with
 * varlink_reply_more() and then once): now, or later by keeping the call, which
 * it must not touch again after the last answer. If the peer goes away first,
 * the call is told through varlink_call_on_gone(); answers to it then go
 * nowhere.
 *
 * @parameters: borrowed, always an object, valid until the last answer
 */
typedef void (*varlink_method_fn)(struct varlink_call *call,
                                  const json_t *parameters, void *userdata);

struct varlink_method {
    const char *name;     /* "Sign" */
    varlink_method_fn fn; /* NULL: answered MethodNotImplemented */
    unsigned tag;         /* the caller's, e.g. the role a method needs */
};

struct varlink_interface {
    const char *name;        /* "org.acmeguardian.Signer" */
    const char *description; /* the .varlink file */
    const struct varlink_method *methods;
    size_t n_methods;
    /*
     * Asked before each method; nonzero: it has answered (an error) itself.
     * May be NULL.
     */
    int (*authorise)(struct varlink_call *call,
                     const struct varlink_method *method, void *userdata);
    void *userdata;
};

/*
 * @event is referenced. The strings of @info are borrowed and must outlive the
 * server, which must not be freed from within a callback of its own.
 */
int varlink_server_new(sd_event *event, const struct varlink_limits *limits,
                       const struct varlink_info *info,
                       struct varlink_server **ret) MUST_CHECK;

/* The interface is borrowed and must outlive the server. */
int varlink_server_add(struct varlink_server *s,
                       const struct varlink_interface *interface) MUST_CHECK;

struct varlink_listener {
    const char *instance; /* copied; NULL: none */
    /*
     * Which interfaces this socket serves, besides org.varlink.service:
     * NULL-ended names, borrowed.
     */
    const char *const *interfaces;
    /*
     * The limits of a uid hold for all sockets of one share together: who has
     * used up one is still served by another.
     */
    unsigned share;
    /* Asked at accept, before a byte is read; false: closed. May be NULL. */
    bool (*admit)(const struct peer *peer, void *userdata);
    void *userdata;
    bool use_peerpidfd;
};

/* varlink_server_listen() - takes over the listening socket on success. */
int varlink_server_listen(struct varlink_server *s, int fd,
                          const struct varlink_listener *listener) MUST_CHECK;

/*
 * varlink_server_stop() - close the listeners and idle connections, read no
 * more requests; those in flight are still answered (a stream, by whoever sends
 * it, too). varlink_server_pending() is the number still open: calls without
 * their last answer, and answers not yet taken by their peer.
 */
void varlink_server_stop(struct varlink_server *s);
size_t varlink_server_pending(const struct varlink_server *s);
size_t varlink_server_connections(const struct varlink_server *s);

/*
 * varlink_server_on_idle() - called once after varlink_server_stop(), from the
 * event loop, when nothing is pending (any more).
 */
void varlink_server_on_idle(struct varlink_server *s, void (*fn)(void *),
                            void *userdata);

struct varlink_server *varlink_server_free(struct varlink_server *s);

/* Of a call. */
const struct peer *varlink_call_peer(const struct varlink_call *c);
const char *varlink_call_instance(const struct varlink_call *c);
const char *varlink_call_method(const struct varlink_call *c); /* full name */
bool varlink_call_wants_more(const struct varlink_call *c);
/* varlink_call_is_oneway() - "oneway": the answer will be swallowed. What gives
 * something out once must not do it then. */
bool varlink_call_is_oneway(const struct varlink_call *c);
/* A per-connection slot for the interface's owner, freed by @free_fn. */
void *varlink_call_conn_data(const struct varlink_call *c);
void varlink_call_set_conn_data(struct varlink_call *c, void *data,
                                void (*free_fn)(void *));
/*
 * varlink_call_on_gone() - @fn is called once if the peer goes away first
 *
 * Always from the event loop, never from within an answer. The last answer is
 * still owed: it frees the call, and may be given in @fn itself. Until then
 * the call counts against its uid's limit.
 */
void varlink_call_on_gone(struct varlink_call *c,
                          void (*fn)(struct varlink_call *c, void *userdata),
                          void *userdata);

/*
 * Answers. @parameters is the JSON text of an object, written by hand where
 * speed counts; empty stands for {}. A call whose request said "oneway"
 * swallows them. None of these fails towards the caller: what cannot be sent
 * closes the connection.
 */
void varlink_reply(struct varlink_call *c, struct bytes parameters);
void varlink_reply_json(struct varlink_call *c,
                        json_t *parameters); /* steals */
void varlink_reply_more(struct varlink_call *c, struct bytes parameters);
void varlink_error(struct varlink_call *c, const char *error,
                   struct bytes parameters);
/* org.varlink.service.InvalidParameter, .PermissionDenied, .ExpectedMore */
void varlink_error_invalid_parameter(struct varlink_call *c, const char *name);
void varlink_error_permission_denied(struct varlink_call *c);
void varlink_error_expected_more(struct varlink_call *c);
