/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rotate.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "acme/json-strict.h"
#include "base/log.h"
#include "daemon/guardian.h"
#include "daemon/keys-changed.h"
#include "daemon/message-ids.h"
#include "daemon/params.h"
#include "daemon/rotation-records.h"
#include "daemon/store-mark.h"

#define RETRY_MS 60000 /* of what the daemon does by itself */

/* ---- one step ---- */

static void rotate_log(const struct rotation *r, const struct peer *by)
{
    const struct store_rotation *x = &r->row;
    bool bad = x->state == ROTATION_UNRESOLVED ||
               x->state == ROTATION_ACCOUNT_LOST ||
               x->state == ROTATION_SWITCH_REFUSED;
    char uid[16];

    (void)snprintf(uid, sizeof(uid), "%u", by ? by->uid : 0);
    log_event(bad ? LOG_WARNING : LOG_INFO, MSG_ROTATION,
              (struct log_field[]){
                  { "GUARDIAN_ACCOUNT", x->account },
                  { "GUARDIAN_PEER_UID", by ? uid : NULL },
                  { "GUARDIAN_KEY", x->new_thumbprint },
                  { "GUARDIAN_REASON", x->reason },
                  { "GUARDIAN_DETAIL", rotation_state_name(x->state) } },
              5, "Rotation of account %s: %s%s%s", x->account,
              rotation_state_name(x->state), x->text ? ": " : "",
              x->text ? x->text : "");
}

/* Written before it happens. Where signing ends by it, it happens anyway. */
static int rotate_audit(struct guardian *g, const struct store_rotation *next,
                        const struct peer *by)
{
    CLEANUP_BUF struct buf detail = { 0 };
    struct audit *audit = guardian_audit(g);
    struct audit_event event = {
        .type = AUDIT_KEY,
        .peer = by,
        .account = next->account,
        .thumbprint = next->state == ROTATION_SWITCHED ||
                              next->state == ROTATION_CLEANED ||
                              next->state == ROTATION_DONE
                          ? next->new_thumbprint
                          : next->old_thumbprint,
        .operation = "rotation",
        .reason = next->reason,
    };
    const char *text =
        next->state == ROTATION_CLEANED && next->old_deactivated_s
            ? "the old account is deactivated"
            : next->text;
    int r;

    r = buf_printf(&detail, "%s%s%s", rotation_state_name(next->state),
                   text ? ": " : "", text ? text : "");
    event.detail = buf_str(&detail);
    if (r || !audit || audit_write(audit, &event)) {
        log_msg(LOG_ERR, "The audit log cannot be written");
        return next->state == ROTATION_UNRESOLVED ? 0 : ROTATE_E_AUDIT;
    }
    return 0;
}

/* The old key may be retired by what follows: an older registry than this is
 * to be known as one. */
static int rotate_mark(struct guardian *g)
{
    int r = store_mark_advance(g->store);

    if (r == 0)
        return 0;
    log_msg(LOG_ERR, "%s/" STORE_MARK_FILE " cannot be written: error %d",
            g->settings->log_dir, r);
    return ROTATE_E_AUDIT;
}

/* Where key and account are then. */
static void rotate_new_place(const struct store_rotation *next,
                             struct store_account *row)
{
    if (next->kind == ROTATION_KIND_RELEASE) {
        row->status = ACCOUNT_RELEASED;
        return;
    }
    row->token = next->new_token;
    if (!account_is_over(row->status))
        row->status = ACCOUNT_VALID;
    if (next->kind == ROTATION_KIND_MOVE) {
        row->acme.account_url = next->new_url;
        row->registered_s = time(NULL);
    }
    row->unproven_reason = NULL;
    row->unproven_text = NULL;
    row->unproven_s = 0;
}

/* The account's row when the CA has taken the new key. What was proven was so
 * with the old one. */
static void rotate_new_row(const struct rotation *r,
                           const struct store_rotation *next,
                           struct store_account *row)
{
    *row = r->account->row; /* only copied from */
    row->acme.jwk = r->new_key;
    (void)snprintf(row->acme.thumbprint, sizeof(row->acme.thumbprint), "%s",
                   next->new_thumbprint);
    row->key_label = next->new_label;
    row->generation = next->new_generation;
    rotate_new_place(next, row);
    row->key_attrs = next->new_attrs;
    row->key_attrs_known = next->new_attrs_known;
    row->key_since_s = time(NULL);
    row->must_ask = false;
    row->proof_url = NULL;
    row->proof_thumbprint = NULL;
    row->proof_s = 0;
}

/* And when the CA, which said that it had taken it, has not. The old key's
 * attributes are looked at anew. */
static void rotate_old_row(const struct rotation *r,
                           const struct store_rotation *next,
                           struct store_account *row)
{
    *row = r->account->row; /* only copied from */
    row->acme.jwk = r->old_key;
    (void)snprintf(row->acme.thumbprint, sizeof(row->acme.thumbprint), "%s",
                   next->old_thumbprint);
    row->key_label = next->old_label;
    row->generation = next->old_generation;
    if (next->old_token)
        row->token = next->old_token;
    if (!account_is_over(row->status))
        row->status = next->kind == ROTATION_KIND_ADOPT ? ACCOUNT_ADOPTING
                                                        : ACCOUNT_VALID;
    row->key_attrs = 0;
    row->key_attrs_known = 0;
    row->key_since_s = next->started_s;
    row->proof_url = NULL;
    row->proof_thumbprint = NULL;
    row->proof_s = 0;
}

static int key_of(const char *text, struct jwk *ret)
{
    CLEANUP_JSON json_t *json = NULL;
    struct refusal refusal;
    int r;

    if (!text)
        return 0;
    r = json_strict_read(bytes_from_str(text), &json, &refusal);
    return r ? r : jwk_read(json, ret, &refusal);
}

static void rotate_arm(struct rotation *r);

/* Nothing may fail after the registry has it. */
static void rotate_take(struct rotation *r, struct store_rotation *row,
                        const struct rotation_run *run)
{
    enum rotate_gate gate;
    bool moved = r->row.state != row->state;
    bool unsure = r->run.unsure;

    store_rotation_deinit(&r->row);
    r->row = *row;
    *row = (struct store_rotation){ 0 };
    r->run = run ? *run : (struct rotation_run){ .unsure = unsure };
    r->run.unsure = r->run.unsure && rotation_may_be_old(&r->row);
    if (moved) {
        r->quiet_ms = names_now_ms();
        r->gave_up = false;
    }
    if (r->row.state != ROTATION_DRAINING)
        r->orders_held = false;
    r->account->row.acme.rotating = rotate_is_active(r->account);
    gate = rotate_gate(r->account);
    if (gate != ROTATE_HELD)
        r->held_ms = 0;
    else if (r->held_ms == 0)
        r->held_ms = names_now_ms();
    rotate_arm(r);
    if (gate == ROTATE_OPEN || gate == ROTATE_CLOSED)
        hold_release(&r->account->hold, true);
}

static struct rotation *rotation_new(struct guardian *g, struct account *a)
{
    struct rotation *r = calloc(1, sizeof(*r));

    if (r) {
        r->guardian = g;
        r->account = a;
    }
    return r;
}

static void rotation_free(struct rotation *r)
{
    if (!r)
        return;
    sd_event_source_disable_unref(r->timer);
    courier_unref(r->courier);
    store_rotation_deinit(&r->row);
    free(r);
}
DEFINE_CLEANUP(struct rotation *, rotation_free)

/* The CA has said that the old key is still the account's. */
static bool rotate_proves_old(const struct rotation *r,
                              const struct store_rotation *row,
                              const struct rotation_run *run)
{
    if (row->state == ROTATION_SWITCH_REFUSED)
        return r->row.state != ROTATION_SWITCH_REFUSED;
    return run && run->old_key == ROTATION_YES && rotation_may_be_old(row);
}

/* Now it is known which key is the account's. */
static bool rotate_settles(const struct rotation *r,
                           const struct store_rotation *row)
{
    return row->state != r->row.state &&
           (row->state == ROTATION_SWITCHED ||
            (row->state == ROTATION_SWITCH_REFUSED &&
             row->kind == ROTATION_KIND_RESOLVE));
}

static bool rotate_goes_back(const struct rotation *r,
                             const struct store_rotation *row)
{
    return r->row.state == ROTATION_SWITCHED &&
           row->state == ROTATION_UNRESOLVED;
}

/* The key of an account that was registered and is not moved to: the next new
 * one has another label. */
static bool rotate_leaves_key(const struct store_rotation *row)
{
    return row->state == ROTATION_ABORTED && rotation_registered(row);
}

/* Registry and account; the row's keys are in @r. */
static int rotate_store(struct guardian *g, const struct rotation *r,
                        const struct store_rotation *row,
                        const struct rotation_run *run)
{
    struct store_account account = r->account->row; /* only copied from */

    if (row->state == ROTATION_SWITCHED && r->row.state != ROTATION_SWITCHED) {
        rotate_new_row(r, row, &account);
    } else if (rotate_goes_back(r, row)) {
        rotate_old_row(r, row, &account);
    } else if (account.must_ask && rotate_proves_old(r, row, run)) {
        account.must_ask = false;
    } else if (row->state == ROTATION_ABORTED && r->run.unsure) {
        account.must_ask =
            true; /* no new key was made, and the old is no good */
    } else if (rotate_leaves_key(row)) {
        if (row->new_generation > account.other_generation)
            account.other_generation = row->new_generation;
    } else if (row->state == ROTATION_PLANNED &&
               !rotate_is_active(r->account)) {
        return store_rotation_begin(g->store, row);
    } else if (!rotate_settles(r, row)) {
        return store_rotation_put(g->store, row, NULL);
    }
    if (row->kind == ROTATION_KIND_RESOLVE &&
        r->account->seen_generation > account.other_generation)
        account.other_generation = r->account->seen_generation;
    return accounts_rotate(g, r->account, &account, row);
}

/* A key that was found on a token, in the place of whatever was under way. */
static bool rotate_resolves(const struct rotation *r,
                            const struct store_rotation *next)
{
    return next->kind == ROTATION_KIND_RESOLVE &&
           (next->state == ROTATION_UNRESOLVED ||
            next->state == ROTATION_ACCOUNT_LOST) &&
           (!r || r->row.kind != ROTATION_KIND_RESOLVE ||
            strcmp(r->row.new_label, next->new_label) != 0);
}

int rotate_commit(struct guardian *g, struct account *a,
                  const struct store_rotation *next,
                  const struct rotation_run *run, const struct peer *by)
{
    CLEANUP(store_rotation_deinit) struct store_rotation row = { 0 };
    CLEANUP(rotation_free_p) struct rotation *fresh = NULL;
    struct rotation *r = a->rotation;
    struct jwk old_key, new_key;
    bool resolves = rotate_resolves(r, next);
    bool first = resolves || !rotate_is_active(a);
    bool settles;
    bool switched;
    int e;

    assert(resolves || (first ? next->state == ROTATION_PLANNED
                              : rotation_may_go(r->row.state, next->state)));
    if (!r) {
        r = fresh = rotation_new(g, a);
        if (!r)
            return -ENOMEM;
    }
    old_key = r->old_key;
    new_key = r->new_key;
    e = store_rotation_copy(next, &row);
    if (e == 0)
        e = key_of(row.old_jwk, &r->old_key);
    if (e == 0)
        e = key_of(row.new_jwk, &r->new_key);
    if (e > 0)
        e = -EINVAL;
    switched = row.state == ROTATION_SWITCHED &&
               (first || r->row.state != ROTATION_SWITCHED);
    if (first || r->row.state != row.state)
        row.since_s = time(NULL);
    if (e == 0 &&
        (first || r->row.state != row.state || row.sent_s != r->row.sent_s ||
         row.confirmed_s != r->row.confirmed_s ||
         row.old_deactivated_s != r->row.old_deactivated_s))
        e = rotate_audit(g, &row, by);
    if (e == 0 &&
        (switched || (row.sent_s && (first || row.sent_s != r->row.sent_s))))
        e = rotate_mark(g);
    if (e == 0)
        e = rotate_store(g, r, &row, run);
    if (e) {
        r->old_key = old_key; /* as the registry has them */
        r->new_key = new_key;
        return e;
    }
    settles = rotate_settles(r, &row);
    switched = switched || rotate_goes_back(r, &row);
    if (fresh)
        a->rotation = TAKE_PTR(fresh);
    rotate_take(r, &row, run);
    if (settles)
        account_set_unresolved(g, a, NULL);
    rotate_log(r, by);
    if (switched || settles)
        keys_changed_say(g->settings->state_dir);
    return 0;
}

bool rotate_changes_records(const struct account *a, enum rotation_kind kind)
{
    return a->row.meta.account_hash_prefix || kind == ROTATION_KIND_MOVE;
}

int rotate_records_change(struct guardian *g, struct account *a, bool more,
                          const struct peer *by)
{
    struct store_rotation next;
    int e = 0;

    if (more && rotate_is_active(a) &&
        rotate_changes_records(a, a->rotation->row.kind)) {
        next = a->rotation->row;
        if (rotation_add_record(&next))
            return ROTATE_E_HELD;
        if (next.key_bound != a->rotation->row.key_bound ||
            next.state != a->rotation->row.state)
            e = rotate_commit(g, a, &next, &a->rotation->run, by);
    }
    if (e == 0)
        a->records_revision++;
    return e;
}

int64_t rotate_destroy_s(const struct store_rotation *x)
{
    bool waited = x->key_bound && !x->old_lost;

    return waited ? x->since_s : x->since_s + x->grace_s;
}

void rotate_forget(struct account *a)
{
    rotation_free(a->rotation);
    a->rotation = NULL;
    open_orders_deinit(&a->orders);
}

void rotate_stop(struct guardian *g)
{
    for (size_t i = 0; i < g->accounts.n; i++)
        hold_release(&g->accounts.items[i]->hold, false);
}

/* ---- what happens by itself ---- */

static void rotate_on_destroyed(const char *error,
                                const struct token_answer *answer,
                                void *userdata)
{
    struct rotation *r = userdata;

    if (!error)
        return;
    log_msg(LOG_WARNING,
            "Rotation of account %s: the old key is not destroyed yet: %s%s%s",
            r->row.account, error, answer && answer->text ? ": " : "",
            answer && answer->text ? answer->text : "");
    rotate_arm(r);
}

/* Nobody came in time: an account that waits for a person is no account that
 * works, unless nobody can know its key. */
static void rotate_give_up(struct rotation *r)
{
    struct store_rotation next = r->row;
    struct rotation_run run = { .unsure = r->run.unsure };
    int e;

    if (next.state == ROTATION_SWITCHED) {
        run = r->run; /* resume goes on asking, and may find that it was none */
        run.n_confirmed = 0;
        r->gave_up = true;
        next.text =
            params_borrow("not confirmed at every front end within 60 s");
    } else if (next.sent_s == 0) {
        next.state = ROTATION_DRAINING;
    } else {
        next.state = ROTATION_UNRESOLVED;
        if (!next.reason) {
            next.reason = params_borrow("answer-lost");
            next.text = params_borrow("the CA's answer was not told in time");
        }
    }
    e = rotate_commit(r->guardian, r->account, &next, &run, NULL);
    if (e) {
        r->gave_up = false;
        log_msg(LOG_ERR, "Rotation of account %s: cannot go on: error %d",
                r->row.account, e);
        rotate_arm(r);
    }
}

static int rotate_on_time(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct rotation *r = userdata;

    (void)s;
    (void)usec;
    if (r->busy) {
        rotate_arm(r);
    } else if (r->orders_held) {
        r->orders_held = false;
        r->quiet_ms = names_now_ms();
        hold_release(&r->account->hold, true);
    } else if (r->row.state == ROTATION_CLEANED) {
        if (rotation_deactivates(&r->row))
            return 0; /* somebody has to ask the CA for that first */
        rotate_destroy(r->account, NULL, rotate_on_destroyed, r);
    } else if (rotate_is_unsure(r->account)) {
        r->waited = true;
        r->held_ms = 0;
        hold_release(&r->account->hold, true);
    } else if (r->held_ms) {
        rotate_give_up(r);
    }
    return 0;
}

/* 0: nothing. */
static uint64_t rotate_due_ms(const struct rotation *r)
{
    uint64_t now_ms = names_now_ms();
    int64_t left_s;

    if (r->row.state == ROTATION_CLEANED) {
        left_s = rotate_destroy_s(&r->row) - time(NULL);
        return left_s > 0 ? (uint64_t)left_s * 1000 : RETRY_MS;
    }
    if (r->orders_held)
        return rotation_orders_held_ms(&r->row);
    if (!r->held_ms)
        return 0;
    return r->held_ms + ROTATION_HOLD_MS > now_ms
               ? r->held_ms + ROTATION_HOLD_MS - now_ms
               : 1000;
}

static void rotate_arm(struct rotation *r)
{
    uint64_t ms = rotate_due_ms(r);

    r->timer = sd_event_source_disable_unref(r->timer);
    if (ms == 0)
        return;
    if (sd_event_add_time_relative(r->guardian->event, &r->timer,
                                   CLOCK_MONOTONIC, ms * 1000, 0,
                                   rotate_on_time, r) < 0)
        log_msg(LOG_ERR, "Rotation of account %s: no timer: resume it by hand",
                r->row.account);
}

void rotate_hold_orders(struct rotation *r)
{
    r->orders_held = true;
    rotate_arm(r);
}

/* ---- at the start ---- */

static int rotate_take_up(struct rotation *r)
{
    struct store_rotation next = r->row;
    int e;

    if (next.state != ROTATION_SWITCHING)
        return 0;
    if (next.sent_s == 0) {
        next.state = ROTATION_DRAINING;
    } else {
        next.state = ROTATION_UNRESOLVED;
        if (!next.reason) {
            next.reason = params_borrow("answer-lost");
            next.text = params_borrow("the daemon ended before the CA's answer "
                                      "was told");
        }
    }
    e = rotate_commit(r->guardian, r->account, &next, NULL, NULL);
    return e == ROTATE_E_AUDIT ? 0 : e; /* tried again when the hold ends */
}

static int rotate_load_one(struct guardian *g, struct store_rotation *row)
{
    CLEANUP(rotation_free_p) struct rotation *r = NULL;
    struct account *a = accounts_find(&g->accounts, row->account);

    if (!a)
        return STORE_E_CORRUPT; /* a foreign key's */
    r = rotation_new(g, a);
    if (!r)
        return -ENOMEM;
    if (key_of(row->old_jwk, &r->old_key) || key_of(row->new_jwk, &r->new_key))
        return STORE_E_CORRUPT;
    a->rotation = r;
    /* Where the registry is no old one, the row says whether anything was given
     * out that could have switched. */
    r->run.unsure = rotation_may_be_old(row) &&
                    (!g->mark_fits || a->row.must_ask || row->sent_s);
    rotate_take(r, row, NULL);
    return rotate_take_up(TAKE_PTR(r));
}

int rotate_load(struct guardian *g)
{
    struct store_rotation *rows = NULL;
    size_t n = 0;
    int e;

    /* Which orders were open is not known any more. */
    for (size_t i = 0; i < g->accounts.n; i++)
        open_orders_lost(&g->accounts.items[i]->orders, names_now_ms());
    e = store_rotations(g->store, &rows, &n);
    for (size_t i = 0; i < n; i++) {
        if (e == 0)
            e = rotate_load_one(g, &rows[i]);
        store_rotation_deinit(&rows[i]);
    }
    free(rows);
    return e;
}
