/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/accounts.h"
#include "daemon/courier.h"
#include "daemon/hold.h"
#include "daemon/rotation.h"
#include "daemon/schedule.h"

struct peer;
struct token_answer;

/*
 * Rotations as they happen: the registry, the account's row, the audit log, the
 * requests that are held. Every change of a state goes through rotate_commit().
 */

struct rotation {
    struct store_rotation row;
    struct jwk old_key, new_key; /* the latter once row.new_jwk is there */
    struct rotation_run run;
    struct guardian *guardian;
    struct account *account;
    sd_event_source *timer;
    uint64_t held_ms;  /* since when signing is held; 0: it is not */
    uint64_t quiet_ms; /* draining: since when a quiet moment is waited for */
    bool orders_held;  /* draining: new orders wait for it */
    bool busy;         /* the token is asked for this */
    bool waited;       /* unsure: for as long as a request is held */
    bool gave_up;      /* switched: nobody confirmed it for so long */
    struct courier *courier; /* switching: has the request; may be NULL */
};

/* draining: so long without orders being held; then with that, for
 * rotation_orders_held_ms(). */
#define ROTATE_QUIET_MS 10000

/* May anything be signed for this account's clients? */
enum rotate_gate {
    ROTATE_CLOSED = 0,  /* nobody knows the key: refused */
    ROTATE_HELD,        /* everything waits */
    ROTATE_ORDERS_HELD, /* new orders wait */
    ROTATE_OPEN,
};
enum rotate_gate rotate_gate(const struct account *a);

/* rotate_word() - the account's state while the gate is closed or held, for
 * AccountNotReady: "switching", "unresolved", ... NULL: the gate is open. */
const char *rotate_word(const struct account *a);

/* rotate_is_unsure() - nothing is signed until somebody has asked the CA. */
bool rotate_is_unsure(const struct account *a);

/* rotate_is_blocked() - token and registry do not agree, and that is not what
 * the rotation is about. */
bool rotate_is_blocked(const struct account *a);

/* rotate_is_carried() - the CA's answer may still come from who has the
 * request. */
bool rotate_is_carried(const struct rotation *r);

/* rotate_is_active() - there is one that is not over. */
bool rotate_is_active(const struct account *a);

/* rotate_load() - after the accounts. What was under way when the daemon ended
 * goes to the state that this leaves it in. */
int rotate_load(struct guardian *g) MUST_CHECK;

/* rotate_stop() - whatever is held is refused. */
void rotate_stop(struct guardian *g);
void rotate_forget(struct account *a);

/**
 * rotate_commit() - a step: audited, one transaction, then in force
 * @next: what the row becomes; shallow, copied. since_s is set here.
 * @run:  NULL: begins anew
 * @by:   the caller; NULL: the daemon by itself
 *
 * Return: 0; ROTATE_E_AUDIT: not audited, so not done; negative errno.
 */
int rotate_commit(struct guardian *g, struct account *a,
                  const struct store_rotation *next,
                  const struct rotation_run *run,
                  const struct peer *by) MUST_CHECK;
#define ROTATE_E_AUDIT 1

/* rotate_changes_records() - what records there are become others by such a
 * rotation: they name the key, or it is another account's. */
bool rotate_changes_records(const struct account *a, enum rotation_kind kind);

/**
 * rotate_records_change() - the account's records are about to change
 * @more: there will be one that was not there, or another
 *
 * What was seen on the servers is not all any more: back to records-published,
 * before the change is made.
 *
 * Return: 0; ROTATE_E_HELD: not now, the key is being changed; as
 * rotate_commit().
 */
int rotate_records_change(struct guardian *g, struct account *a, bool more,
                          const struct peer *by) MUST_CHECK;
#define ROTATE_E_HELD 2

/* rotate_destroy_s() - when the old key may be destroyed, in cleaned. Where
 * records name the key, the grace was before they were removed, unless the
 * account was lost. */
int64_t rotate_destroy_s(const struct store_rotation *x);

/* rotate_hold_orders() - draining: make new orders wait, for a while. */
void rotate_hold_orders(struct rotation *r);

/* rotate_settled_ms() - 0: the last signature has had its time. */
uint64_t rotate_settled_ms(const struct account *a);

/* rotate_window() - of the account's schedule, now. */
struct schedule_now rotate_window(const struct account *a);

/* rotate_is_postponed() - draining, and the window in which it was to switch is
 * over. */
bool rotate_is_postponed(const struct account *a);

/* Orders and connections that a switch would break. */
struct rotate_open {
    size_t orders, connections;
    bool unknown; /* there may be orders from before the daemon's start */
};
/* rotate_is_quiet() - none of them. */
bool rotate_is_quiet(const struct account *a);
void rotate_open(const struct account *a, struct rotate_open *ret);

/*
 * rotate-key.c: what the token is asked for. @fn is called once, perhaps before
 * this returns. @error: NULL: done, and committed; a name of Admin's errors
 * ("TokenFailed" comes with @answer), else.
 */
typedef void (*rotate_done_fn)(const char *error,
                               const struct token_answer *answer,
                               void *userdata);
/* planned -> key-generated */
void rotate_generate(struct account *a, const struct peer *by,
                     rotate_done_fn fn, void *userdata);
/* aborting -> aborted, if none was made; else its public key is known then. */
void rotate_find(struct account *a, const struct peer *by, rotate_done_fn fn,
                 void *userdata);
/* aborting -> aborted: the new key. cleaned -> done: the old one. */
void rotate_destroy(struct account *a, const struct peer *by, rotate_done_fn fn,
                    void *userdata);
