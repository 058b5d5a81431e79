/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-conn.h"

#include <errno.h>

/*
 * What lives as long as somebody refers to it: connections, and what they share
 * with others, their uid and their listening socket.
 */

struct varlink_conn *varlink_conn_ref(struct varlink_conn *c)
{
    c->n_refs++;
    return c;
}

struct varlink_conn *varlink_conn_unref(struct varlink_conn *c)
{
    if (!c || --c->n_refs > 0)
        return NULL;
    if (c->data && c->data_free)
        c->data_free(c->data);
    varlink_uid_unref(c->uid);
    varlink_socket_unref(c->socket);
    peer_free(c->peer);
    free(c);
    return NULL;
}

struct varlink_socket *varlink_socket_unref(struct varlink_socket *l)
{
    if (!l || --l->n_refs > 0)
        return NULL;
    free(l->instance);
    free(l);
    return NULL;
}

/* In a list: there are as many entries as uids are connected at the moment. */
int varlink_uid_get(struct varlink_server *s, uid_t uid, unsigned share,
                    struct varlink_uid **ret)
{
    struct varlink_uid *u;

    TAILQ_FOREACH(u, &s->uids, all)
    {
        /* cppcheck-suppress uninitvar */
        if (u->uid == uid && u->share == share) {
            *ret = varlink_uid_ref(u);
            return 0;
        }
    }

    u = malloc(sizeof(*u));
    if (!u)
        return -ENOMEM;
    *u = (struct varlink_uid){
        .uid = uid, .share = share, .n_refs = 1, .server = s
    };
    TAILQ_INIT(&u->parked);
    TAILQ_INIT(&u->ready);
    TAILQ_INSERT_TAIL(&s->uids, u, all);
    *ret = u;
    return 0;
}

struct varlink_uid *varlink_uid_ref(struct varlink_uid *u)
{
    u->n_refs++;
    return u;
}

struct varlink_uid *varlink_uid_unref(struct varlink_uid *u)
{
    if (!u || --u->n_refs > 0)
        return NULL;
    if (u->server)
        TAILQ_REMOVE(&u->server->uids, u, all);
    free(u);
    return NULL;
}

void varlink_uid_unpark(struct varlink_uid *u)
{
    struct varlink_conn *c = TAILQ_FIRST(&u->parked);

    if (!c || !u->server || u->n_calls >= u->server->limits.requests_per_uid)
        return;
    varlink_turns_unqueue(c);
    c->called_up = true;
    varlink_turns_queue(c);
}
