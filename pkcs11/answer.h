/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/ahead.h"
#include "pkcs11/keycache.h"
#include "pkcs11/ladder.h"
#include "pkcs11/spin.h"

/* Memory that all processes of one helper share; made before the first fork. */
struct shared {
    struct spin spin;
    _Atomic uint32_t epoch;               /* counts keys made and destroyed */
    _Atomic uint32_t processes, sessions; /* at work */
};

/* What all sessions of one process share. */
struct service {
    const struct settings_token *settings;
    const struct backend_ops *ops;
    struct backend *backend;
    struct login login;
    struct shared *shared;
    bool unseparated; /* the peer runs as the same user */
    unsigned n_answerers;
    _Atomic unsigned n_done; /* of them, since the connection is closed */
};

/* One thread's: its session, and what it answers with. */
struct answerer {
    struct service *service;
    struct backend_session *session;
    struct watch *watch;
    struct keycache cache;
    struct ahead ahead;
    struct token_key *keys; /* TOKEN_LIST_MAX of them */
};

enum answer_next {
    ANSWER_GO_ON = 0,
    ANSWER_EXIT_CLOSED,   /* the peer went away */
    ANSWER_EXIT_PROTOCOL, /* the peer broke the rules */
    ANSWER_EXIT_LADDER,   /* only a new process helps */
    ANSWER_EXIT_STALE,    /* likewise, though all is well so far */
};

/**
 * answer_datagram() - what the daemon asks, done and answered
 * @datagram: as recv(2) with MSG_TRUNC left it, aligned
 * @ret_err:  why to exit, for the log
 */
enum answer_next answer_datagram(struct answerer *a, int fd,
                                 struct bytes datagram,
                                 struct backend_error *ret_err);

/* answer_status() - struct token_status as the answer to STATUS and UNLOCK. */
void answer_status(const struct service *s, struct token_status *ret);
