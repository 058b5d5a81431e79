/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/courier.h"

#include <stdlib.h>

#include "ipc/varlink-server.h"

struct courier {
    unsigned n_refs;
    bool gone;
};

struct courier *courier_unref(struct courier *c)
{
    if (c && --c->n_refs == 0)
        free(c);
    return NULL;
}

static void courier_on_closed(void *userdata)
{
    struct courier *c = userdata;

    c->gone = true;
    courier_unref(c);
}

struct courier *courier_of(struct varlink_call *call)
{
    struct courier *c = varlink_call_conn_data(call);

    if (!c) {
        c = calloc(1, sizeof(*c));
        if (!c)
            return NULL;
        c->n_refs = 1;
        varlink_call_set_conn_data(call, c, courier_on_closed);
    }
    c->n_refs++;
    return c;
}

bool courier_is_there(const struct courier *c)
{
    return c && !c->gone;
}
