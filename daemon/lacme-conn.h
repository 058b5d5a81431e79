/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/decide.h"
#include "daemon/lacme.h"

/* Connections of lacme sockets; used by lacme.c alone. */

struct lacme_listener {
    struct lacme *lacme;
    struct lacme_listener *next;
    sd_event_source *source;
    int fd;
    char *instance;
    char *account; /* by name: it may not exist yet */
};

struct lacme_conn {
    struct lacme *lacme;
    const struct lacme_listener *listener; /* lives as long as the lacme */
    struct lacme_conn *prev, *next;
    sd_event_source *source;
    int fd;
    struct peer *peer;
    struct account *account;
    char thumbprint[JWK_THP_TEXT_LEN + 1]; /* as greeted */
    struct hold_entry *hold; /* not greeted yet: a rotation is under way */
    struct buf in;
    bool busy;    /* a request is being decided: nothing else is read */
    bool serving; /* lines are being taken from @in */
    bool dead;    /* freed as soon as neither is so */
};

struct lacme {
    struct guardian *guardian;
    struct lacme_listener *listeners;
    struct lacme_conn *conns;
    bool stopping;
};

/* lacme_conn_new() - identify the peer and greet it; takes @fd on success. */
int lacme_conn_new(const struct lacme_listener *ll, int fd) MUST_CHECK;
struct lacme_conn *lacme_conn_free(struct lacme_conn *c);
