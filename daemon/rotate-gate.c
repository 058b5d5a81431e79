/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a rotation means for whoever wants something signed, and what it waits
 * for; nothing here changes one.
 */
#include <time.h>

#include "daemon/guardian.h"
#include "daemon/lacme.h"
#include "daemon/rotate.h"

bool rotate_is_active(const struct account *a)
{
    return a->rotation && !rotation_is_over(a->rotation->row.state);
}

bool rotate_is_blocked(const struct account *a)
{
    const struct store_rotation *x = a->rotation ? &a->rotation->row : NULL;

    return a->unresolved && x && !rotation_is_over(x->state) &&
           x->state != ROTATION_UNRESOLVED && !rotation_is_lost(x);
}

bool rotate_is_carried(const struct rotation *r)
{
    return r->row.state == ROTATION_SWITCHING && r->row.sent_s &&
           !r->row.reason && courier_is_there(r->courier);
}

bool rotate_is_unsure(const struct account *a)
{
    return a->rotation && a->rotation->run.unsure &&
           rotation_may_be_old(&a->rotation->row);
}

enum rotate_gate rotate_gate(const struct account *a)
{
    const struct rotation *r = a->rotation;

    if (!r)
        return ROTATE_OPEN;
    if (rotation_is_lost(&r->row))
        return ROTATE_CLOSED;
    if (rotate_is_unsure(a))
        return r->waited ? ROTATE_CLOSED : ROTATE_HELD;
    switch (r->row.state) {
    case ROTATION_DRAINING:
        return r->orders_held ? ROTATE_ORDERS_HELD : ROTATE_OPEN;
    case ROTATION_SWITCHING:
        return ROTATE_HELD;
    case ROTATION_SWITCHED:
        /* Of what has left nothing is signed here, so nothing is kept waiting
         * and nobody has to give up before the new key was seen to work. */
        return r->row.confirmed_s || r->gave_up ||
                       r->row.kind == ROTATION_KIND_RELEASE
                   ? ROTATE_OPEN
                   : ROTATE_HELD;
    case ROTATION_PLANNED:
    case ROTATION_KEY_GENERATED:
    case ROTATION_RECORDS_PUBLISHED:
    case ROTATION_RECORDS_VERIFIED:
    case ROTATION_CLEANED:
    case ROTATION_DONE:
    case ROTATION_ABORTING:
    case ROTATION_ABORTED:
    case ROTATION_SWITCH_REFUSED:
        return ROTATE_OPEN;
    case ROTATION_UNRESOLVED:
    case ROTATION_ACCOUNT_LOST:
    case ROTATION_UNSET:
    case ROTATION_STATE_COUNT:
        break;
    }
    return ROTATE_CLOSED;
}

const char *rotate_word(const struct account *a)
{
    enum rotate_gate gate = rotate_gate(a);

    if (gate != ROTATE_HELD && gate != ROTATE_CLOSED)
        return NULL;
    if (rotate_is_unsure(a))
        return account_status_name(ACCOUNT_NEEDS_RESOLVE);
    return rotation_state_name(rotation_is_lost(&a->rotation->row)
                                   ? ROTATION_ACCOUNT_LOST
                                   : a->rotation->row.state);
}

uint64_t rotate_settled_ms(const struct account *a)
{
    uint64_t at_ms =
        a->released_ms + (uint64_t)a->rotation->row.settle_s * 1000;
    uint64_t now_ms = names_now_ms();

    if (a->in_flight > 0)
        return 50;
    return a->released_ms && at_ms > now_ms ? at_ms - now_ms : 0;
}

void rotate_open(const struct account *a, struct rotate_open *ret)
{
    const struct rotation *r = a->rotation;
    uint64_t drain_ms = (uint64_t)r->row.order_drain_s * 1000;
    uint64_t now_ms = names_now_ms();

    /* What is at the token is as good as begun: a switch would not wait for
     * the order, only for its signature. */
    ret->orders =
        open_orders_count(&a->orders, drain_ms, now_ms) + a->new_orders;
    ret->connections = lacme_connections_of(r->guardian->lacme, a);
    ret->unknown = open_orders_unknown(&a->orders, drain_ms, now_ms);
}

bool rotate_is_quiet(const struct account *a)
{
    struct rotate_open open = { 0 };

    rotate_open(a, &open);
    return open.orders + open.connections == 0 && !open.unknown;
}

struct schedule_now rotate_window(const struct account *a)
{
    return schedule_look(&a->row, a->rotation ? &a->rotation->row : NULL,
                         time(NULL));
}

bool rotate_is_postponed(const struct account *a)
{
    const struct rotation *r = a->rotation;

    return r && r->row.state == ROTATION_DRAINING && r->row.window_end_s &&
           time(NULL) >= r->row.window_end_s;
}
