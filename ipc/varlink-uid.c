/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-conn.h"

#include <errno.h>

/*
 * The share of one uid. Looked up once per connection, in a list: there are as
 * many entries as uids are connected at the moment.
 */

int varlink_uid_get(struct varlink_server *s, uid_t uid,
                    struct varlink_uid **ret)
{
    struct varlink_uid *u;

    TAILQ_FOREACH(u, &s->uids, all)
    {
        if (u->uid == uid) {
            *ret = varlink_uid_ref(u);
            return 0;
        }
    }

    u = malloc(sizeof(*u));
    if (!u)
        return -ENOMEM;
    *u = (struct varlink_uid){ .uid = uid, .n_refs = 1, .server = s };
    TAILQ_INIT(&u->parked);
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
    varlink_server_unqueue(c);
    c->called_up = true;
    varlink_server_queue_ready(u->server, c);
}
