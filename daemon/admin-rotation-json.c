/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <time.h>

#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"

#define DRAIN_POLL_MS 1000
#define HELD_POLL_MS 100
#define BUSY_POLL_MS 200
#define POSTPONED_POLL_MS 60000

static bool is_proven(const struct account *a)
{
    const struct store_account *row = &a->row;

    return row->proof_s > 0 &&
           strcmp(row->proof_thumbprint, row->acme.thumbprint) == 0;
}

static uint64_t grace_left_ms(const struct store_rotation *x)
{
    int64_t left_s = rotate_destroy_s(x) - time(NULL);

    return left_s > 0 && !x->keep_old ? (uint64_t)left_s * 1000 : 0;
}

/* Until the next window; where there is none any more, nobody knows. */
static uint64_t postponed_ms(const struct account *a)
{
    int64_t left_s = rotate_window(a).next_s - time(NULL);

    return left_s > 0 ? (uint64_t)left_s * 1000 : POSTPONED_POLL_MS;
}

/* Of the states in which nothing is asked. */
static uint64_t wait_ms(const struct account *a)
{
    const struct rotation *r = a->rotation;

    if (r->busy)
        return BUSY_POLL_MS;
    if (rotate_is_carried(r))
        return BUSY_POLL_MS;
    if (r->row.state == ROTATION_CLEANED)
        return grace_left_ms(&r->row);
    if (r->row.state == ROTATION_SWITCHING && r->row.sent_s == 0)
        return rotate_settled_ms(a);
    if (r->row.state != ROTATION_DRAINING)
        return 0;
    if (rotate_is_postponed(a))
        return postponed_ms(a);
    if (rotate_is_quiet(a))
        return 0;
    return r->orders_held ? HELD_POLL_MS : DRAIN_POLL_MS;
}

enum rotation_ask rotation_due(const struct account *a, uint64_t *ret_wait_ms)
{
    const struct rotation *r = a->rotation;
    bool settled =
        r->row.state == ROTATION_SWITCHING && rotate_settled_ms(a) == 0;
    enum rotation_ask ask;

    *ret_wait_ms = 0;
    if (r->busy) {
        *ret_wait_ms = BUSY_POLL_MS;
        return ROTATION_ASK_NONE;
    }
    if (account_is_over(a->row.status))
        return ROTATION_ASK_NONE; /* no key would open it */
    ask = rotation_question(&r->row, &r->run, settled, names_now_ms(),
                            ret_wait_ms);
    if (ask != ROTATION_ASK_NONE || *ret_wait_ms > 0)
        return ask;
    if (r->row.state == ROTATION_SWITCHED && r->row.confirmed_s &&
        r->row.kind != ROTATION_KIND_RELEASE && !is_proven(a))
        return ROTATION_ASK_PROVE;
    if (rotation_work_due(a, ret_wait_ms) != ROTATION_WORK_NONE ||
        *ret_wait_ms > 0)
        return ROTATION_ASK_NONE;
    *ret_wait_ms = wait_ms(a);
    if (*ret_wait_ms == 0 && rotation_deactivates(&r->row))
        return rotation_deactivation(&r->run);
    return ROTATION_ASK_NONE;
}

enum rotation_work rotation_work_due(const struct account *a,
                                     uint64_t *ret_wait_ms)
{
    const struct rotation *r = a->rotation;
    enum rotation_work work = ROTATION_WORK_NONE;
    int64_t wait_s = 0;

    /* A key outside proves nothing here. */
    if (!r->busy)
        work =
            rotation_work(&r->row, &r->run,
                          is_proven(a) || r->row.kind == ROTATION_KIND_RELEASE,
                          time(NULL), &wait_s);
    *ret_wait_ms = (uint64_t)wait_s * 1000;
    return work;
}

/* When it goes on, where that is long ahead. */
static json_t *due_json(const struct store_rotation *x)
{
    if (x->state == ROTATION_CLEANED && !x->keep_old)
        return admin_time(rotate_destroy_s(x));
    if (x->state == ROTATION_RECORDS_VERIFIED)
        return admin_time(x->caches_s);
    if (x->state == ROTATION_SWITCHED && x->key_bound && x->verified_s)
        return admin_time(x->since_s + x->grace_s);
    return json_null();
}

static json_t *skipped_json(const struct store_rotation *x)
{
    return x->key_bound
               ? json_array()
               : json_pack("[s,s]", "records-published", "records-verified");
}

/* For guardianctl, which composes what a key outside signs first. */
static json_t *jwk_of(const struct jwk *key)
{
    CLEANUP_BUF struct buf text = { 0 };

    return jwk_format(key, &text) ? NULL : json_loads(buf_str(&text), 0, NULL);
}

json_t *admin_rotation_json(const struct account *a)
{
    const struct rotation *r = a->rotation;
    const struct store_rotation *x = &r->row;
    struct rotation_next next = rotation_next(x);
    enum rotate_gate gate = rotate_gate(a);
    struct rotate_open open = { 0 };
    uint64_t wait = 0;
    enum rotation_ask ask = rotation_due(a, &wait);

    if (rotate_is_carried(r))
        next.text = "signing is held; whoever asked the CA to switch is waited "
                    "for";
    if (rotate_is_unsure(a) && ask == ROTATION_ASK_OLD_KEY)
        next = (struct rotation_next){
            "ops", "the daemon was started anew: the CA is asked whether the "
                   "old key is still the account's"
        };
    else if (rotate_is_postponed(a))
        next.text = "postponed: no quiet moment came in its window; it goes on "
                    "in the next one (rotate resume --now: at once)";
    if (x->state == ROTATION_DRAINING)
        rotate_open(a, &open);
    return json_pack(
        "{s:s,s:s,s:s,s:o,s:o,s:s,s:b,s:s,s:s,s:o,s:s?,s:s?,s:s,s:s?,s:s,s:"
        "s,"
        "s:s?,s:s,s:s?,s:b,s:o,s:o,"
        "s:b,s:I,s:I,s:I,s:I,s:o,s:o,s:b,s:I,s:I,s:b,s:I,s:s?,s:I,s:o}",
        "account", x->account, "kind", rotation_kind_name(x->kind), "state",
        rotation_state_name(x->state), "since", admin_time(x->since_s),
        "started", admin_time(x->started_s), "by", x->by, "over",
        (int)rotation_is_over(x->state), "actor", next.actor, "next", next.text,
        "skipped", skipped_json(x), "reason", x->reason, "text", x->text,
        "oldThumbprint", x->old_thumbprint, "newThumbprint", x->new_thumbprint,
        "oldKeyLabel", x->old_label, "newKeyLabel", x->new_label, "oldToken",
        x->old_token, "newToken", x->new_token, "newUrl", x->new_url, "lost",
        (int)rotation_is_lost(x), "oldKey", jwk_of(&r->old_key), "newKey",
        x->new_jwk ? jwk_of(&r->new_key) : json_null(), "keepOldKey",
        (int)x->keep_old, "grace", (json_int_t)x->grace_s, "orderDrain",
        (json_int_t)x->order_drain_s, "settle", (json_int_t)x->settle_s,
        "cacheTime", (json_int_t)x->cache_s, "windowEnd",
        admin_time(x->window_end_s), "due", due_json(x), "held",
        (int)(gate == ROTATE_HELD || gate == ROTATE_ORDERS_HELD), "waiting",
        (json_int_t)a->hold.n, "openOrders", (json_int_t)open.orders,
        "ordersUnknown", (int)open.unknown, "openConnections",
        (json_int_t)open.connections, "ask",
        ask ? rotation_ask_name(ask) : NULL, "waitMs", (json_int_t)wait,
        "records", rotation_records_json(a));
}

void admin_reply_rotation(struct varlink_call *call, const struct account *a)
{
    varlink_reply_json(call,
                       json_pack("{s:o}", "rotation", admin_rotation_json(a)));
}
