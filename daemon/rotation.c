/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rotation.h"

#include <string.h>

#include "daemon/rotation-records.h"

static const char *const ask_names[] = {
    [ROTATION_ASK_NONE] = "none",
    [ROTATION_ASK_KEY_CHANGE] = "key-change",
    [ROTATION_ASK_SPEND] = "spend-nonce",
    [ROTATION_ASK_FIND_NEW] = "find-new-key",
    [ROTATION_ASK_NEW_KEY] = "try-new-key",
    [ROTATION_ASK_OLD_KEY] = "try-old-key",
    [ROTATION_ASK_CONFIRM] = "confirm-new-key",
    [ROTATION_ASK_PROVE] = "prove",
    [ROTATION_ASK_REGISTER] = "register",
    [ROTATION_ASK_DEACTIVATE] = "deactivate-old",
};

_Static_assert(ARRAY_LEN(ask_names) == ROTATION_ASK_COUNT,
               "a name for each question");

const char *rotation_ask_name(enum rotation_ask ask)
{
    return ask_names[(size_t)ask < ARRAY_LEN(ask_names) ? ask : 0];
}

enum rotation_ask rotation_ask_parse(const char *name)
{
    for (size_t i = 1; i < ARRAY_LEN(ask_names); i++) {
        if (strcmp(name, ask_names[i]) == 0)
            return (enum rotation_ask)i;
    }
    return ROTATION_ASK_NONE;
}

uint64_t rotation_orders_held_ms(const struct store_rotation *x)
{
    uint64_t then_ms =
        (uint64_t)(x->settle_s + x->cache_s) * 1000 + ROTATION_SWITCH_MS;
    uint64_t left_ms =
        then_ms < ROTATION_HOLD_MS ? ROTATION_HOLD_MS - then_ms : 0;

    return left_ms < ROTATION_ORDERS_MS ? left_ms : ROTATION_ORDERS_MS;
}

/* Of a move there is nothing to ask: it changes no key of the old account. What
 * is adopted signs nothing anyway. */
bool rotation_may_be_old(const struct store_rotation *x)
{
    static const unsigned before =
        1U << ROTATION_PLANNED | 1U << ROTATION_KEY_GENERATED |
        1U << ROTATION_RECORDS_PUBLISHED | 1U << ROTATION_RECORDS_VERIFIED |
        1U << ROTATION_DRAINING | 1U << ROTATION_SWITCHING |
        1U << ROTATION_SWITCH_REFUSED | 1U << ROTATION_ABORTING;

    return x->kind != ROTATION_KIND_MOVE && x->kind != ROTATION_KIND_ADOPT &&
           before & (1U << x->state);
}

bool rotation_is_over(enum rotation_state s)
{
    return s == ROTATION_DONE || s == ROTATION_ABORTED;
}

bool rotation_old_is_outside(const struct store_rotation *x)
{
    return x->kind == ROTATION_KIND_ADOPT ||
           (x->kind == ROTATION_KIND_MOVE && !x->old_token);
}

bool rotation_new_is_outside(const struct store_rotation *x)
{
    return x->kind == ROTATION_KIND_RELEASE;
}

bool rotation_is_by_new(enum rotation_ask ask)
{
    return ask == ROTATION_ASK_FIND_NEW || ask == ROTATION_ASK_NEW_KEY ||
           ask == ROTATION_ASK_CONFIRM || ask == ROTATION_ASK_REGISTER;
}

bool rotation_is_lost(const struct store_rotation *x)
{
    bool after = x->state == ROTATION_SWITCHED ||
                 x->state == ROTATION_CLEANED || x->state == ROTATION_DONE;

    return x->state == ROTATION_ACCOUNT_LOST || (x->old_lost && !after);
}

bool rotation_deactivates(const struct store_rotation *x)
{
    return x->state == ROTATION_CLEANED && x->kind == ROTATION_KIND_MOVE &&
           !x->old_lost && !x->old_deactivated_s;
}

enum rotation_ask rotation_deactivation(const struct rotation_run *run)
{
    return run->deactivation_refused ? ROTATION_ASK_OLD_KEY
                                     : ROTATION_ASK_DEACTIVATE;
}

bool rotation_registered(const struct store_rotation *x)
{
    return x->kind == ROTATION_KIND_MOVE && x->new_url;
}

bool rotation_may_abort(const struct store_rotation *x)
{
    if (rotation_registered(x) && x->old_lost)
        return false;
    return x->state == ROTATION_PLANNED || x->state == ROTATION_KEY_GENERATED ||
           x->state == ROTATION_RECORDS_PUBLISHED ||
           x->state == ROTATION_RECORDS_VERIFIED ||
           x->state == ROTATION_DRAINING ||
           (x->state == ROTATION_SWITCHING && x->sent_s == 0);
}

#define TO(s) (1U << ROTATION_##s)

bool rotation_may_go(enum rotation_state from, enum rotation_state to)
{
    static const unsigned arrows[ROTATION_STATE_COUNT] = {
        [ROTATION_PLANNED] =
            TO(KEY_GENERATED) | TO(ABORTING) | TO(ACCOUNT_LOST),
        [ROTATION_KEY_GENERATED] =
            TO(RECORDS_PUBLISHED) | TO(DRAINING) | TO(ABORTING),
        /* To draining: a thief does not wait for a server. */
        [ROTATION_RECORDS_PUBLISHED] =
            TO(RECORDS_VERIFIED) | TO(DRAINING) | TO(ABORTING),
        /* Back: a record was added that nobody has seen on a server. */
        [ROTATION_RECORDS_VERIFIED] =
            TO(DRAINING) | TO(RECORDS_PUBLISHED) | TO(ABORTING),
        [ROTATION_DRAINING] =
            TO(SWITCHING) | TO(RECORDS_PUBLISHED) | TO(ABORTING),
        /* Back to draining: nobody asked for the request in time. */
        [ROTATION_SWITCHING] = TO(DRAINING) | TO(ABORTING) | TO(SWITCHED) |
                               TO(SWITCH_REFUSED) | TO(UNRESOLVED),
        [ROTATION_SWITCH_REFUSED] = TO(ABORTING),
        [ROTATION_UNRESOLVED] =
            TO(SWITCHED) | TO(SWITCH_REFUSED) | TO(ACCOUNT_LOST),
        /* The CA may have been wrong: it is asked again. */
        [ROTATION_ACCOUNT_LOST] = TO(UNRESOLVED) | TO(PLANNED),
        /* The CA has the new key: of a copy of the registry, say. */
        [ROTATION_ABORTING] = TO(ABORTED) | TO(UNRESOLVED),
        /* To unresolved: the CA said that it had, and has not. */
        [ROTATION_SWITCHED] = TO(CLEANED) | TO(UNRESOLVED),
        [ROTATION_CLEANED] = TO(DONE),
    };

    if ((size_t)from >= ARRAY_LEN(arrows) || (size_t)to >= ARRAY_LEN(arrows))
        return false;
    return from == to || arrows[from] & (1U << to);
}

/* Where a kind differs from the planned one. */
static bool kind_next(const struct store_rotation *x, struct rotation_next *ret)
{
    static const struct {
        enum rotation_kind kind;
        enum rotation_state state;
        struct rotation_next next;
    } all[] = {
        { ROTATION_KIND_COMPROMISED,
          ROTATION_PLANNED,
          { "ops", "the CA is asked whether the old key still opens the "
                   "account; then the new one is made on the token" } },
        { ROTATION_KIND_COMPROMISED,
          ROTATION_DRAINING,
          { "ops", "the CA is asked to switch to the new key at once: no order "
                   "is waited for" } },
        { ROTATION_KIND_MOVE,
          ROTATION_SWITCHING,
          { "ops", "signing is held; then the new account takes the place of "
                   "the old one" } },
        { ROTATION_KIND_MOVE,
          ROTATION_CLEANED,
          { "ops", "after the grace the old account is deactivated at the CA, "
                   "and its key destroyed on the token" } },
        { ROTATION_KIND_RELEASE,
          ROTATION_PLANNED,
          { "ops", "the new key is outside, where it was made" } },
        { ROTATION_KIND_RELEASE,
          ROTATION_DONE,
          { "nobody", "the account has left with a key of its own; nothing is "
                      "signed for it here" } },
    };
    static const struct rotation_next registering = {
        "ops", "a new account is registered at the CA with the new key"
    };
    static const struct rotation_next still_lost = {
        "operator", "nothing is signed: the key does not open the account; "
                    "make a new account (account move)"
    };

    if (x->kind == ROTATION_KIND_MOVE && !x->new_url &&
        x->state == ROTATION_KEY_GENERATED)
        return *ret = registering, true;
    if (x->state == ROTATION_ABORTED && x->old_lost)
        return *ret = still_lost, true;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (x->kind == all[i].kind && x->state == all[i].state)
            return *ret = all[i].next, true;
    }
    return false;
}

/* Of states in which records are waited for or worked on. */
static struct rotation_next next_about_records(const struct store_rotation *x)
{
    if (x->reason && strcmp(x->reason, "records-by-hand") == 0 &&
        (x->state == ROTATION_RECORDS_PUBLISHED ||
         x->state == ROTATION_SWITCHED || x->state == ROTATION_ABORTING))
        return (struct rotation_next){
            "operator", "the changes that rotate changes shows are made in the "
                        "zones without a publisher, then rotate resume"
        };
    if (x->state == ROTATION_KEY_GENERATED && !rotation_switches_first(x))
        return (struct rotation_next){ "ops", "the records of the new key are "
                                              "published beside the old ones" };
    if (x->state == ROTATION_SWITCHED && x->published_s == 0)
        return (struct rotation_next){ "ops", "the records of the new key are "
                                              "published" };
    if (x->state == ROTATION_SWITCHED && x->verified_s == 0)
        return (struct rotation_next){ "ops",
                                       "the records of the new key are looked "
                                       "for on every server" };
    if (x->state == ROTATION_SWITCHED)
        return (struct rotation_next){ "ops",
                                       "after the grace the records of the old "
                                       "key are removed" };
    if (x->state == ROTATION_CLEANED && !x->keep_old)
        return (struct rotation_next){ "guardian",
                                       "the old key is destroyed on the "
                                       "token" };
    if (x->state == ROTATION_ABORTING && x->published_s)
        return (struct rotation_next){ "ops",
                                       "when the CA has taken the old key, the "
                                       "records of the new one are removed, "
                                       "then it is destroyed" };
    return (struct rotation_next){ 0 };
}

struct rotation_next rotation_next(const struct store_rotation *x)
{
    static const struct rotation_next all[ROTATION_STATE_COUNT] = {
        [ROTATION_PLANNED] = { "ops", "the new key is made on the token" },
        [ROTATION_KEY_GENERATED] = { "ops",
                                     "no record has to be published; orders "
                                     "are let finish" },
        [ROTATION_RECORDS_PUBLISHED] = { "ops",
                                         "when every server has the records of "
                                         "the new key, they count as "
                                         "verified" },
        [ROTATION_RECORDS_VERIFIED] = { "ops",
                                        "when no cache lacks the records of "
                                        "the new key, orders are let finish" },
        [ROTATION_DRAINING] = { "ops",
                                "when no order is open, the CA is asked to "
                                "switch to the new key" },
        [ROTATION_SWITCHING] = { "ops", "signing is held; the CA is asked to "
                                        "switch to the new key" },
        [ROTATION_SWITCHED] = { "ops", "the account is proven with the new "
                                       "key" },
        [ROTATION_CLEANED] = { "guardian",
                               "after the grace the old key is destroyed on "
                               "the token" },
        [ROTATION_DONE] = { "nobody", "the rotation is over" },
        [ROTATION_ABORTING] = { "ops",
                                "when the CA has taken the old key, the new "
                                "one is destroyed on the token" },
        [ROTATION_ABORTED] = { "nobody",
                               "the old key goes on; another rotation may be "
                               "started" },
        [ROTATION_SWITCH_REFUSED] = { "ops",
                                      "the old key goes on; the new one is "
                                      "destroyed on the token" },
        [ROTATION_UNRESOLVED] = { "ops",
                                  "nothing is signed; the CA is asked which "
                                  "key it has" },
        [ROTATION_ACCOUNT_LOST] = { "operator",
                                    "nothing is signed: no key of ours opens "
                                    "the account. Remove its records (records "
                                    "withdraw), then make a new account "
                                    "(account move); or ask the CA again with "
                                    "rotate resume" },
    };
    static const struct rotation_next confirming = {
        "ops", "signing is held until the new key is known at every front end"
    };
    static const struct rotation_next keeping = {
        "guardian", "the old key stays on the token, as was asked"
    };
    struct rotation_next kind;

    if (kind_next(x, &kind))
        return kind;
    if (x->state == ROTATION_SWITCHED && x->confirmed_s == 0)
        return confirming;
    if (x->key_bound && next_about_records(x).actor)
        return next_about_records(x);
    if (x->state == ROTATION_CLEANED && x->keep_old)
        return keeping;
    if ((size_t)x->state < ARRAY_LEN(all) && all[x->state].actor)
        return all[x->state];
    return (struct rotation_next){ "operator", "this state is unknown" };
}

bool rotation_proves_new(const struct store_rotation *x)
{
    return x->kind == ROTATION_KIND_MOVE &&
           (x->state == ROTATION_KEY_GENERATED ||
            x->state == ROTATION_RECORDS_PUBLISHED);
}

static enum rotation_ask question_refused(const struct store_rotation *x,
                                          const struct rotation_run *run)
{
    if (!x->spent)
        return ROTATION_ASK_SPEND;
    return run->find_new == ROTATION_UNASKED ? ROTATION_ASK_FIND_NEW
                                             : ROTATION_ASK_OLD_KEY;
}

static enum rotation_ask question_unresolved(const struct store_rotation *x,
                                             const struct rotation_run *run)
{
    if (!x->spent && run->spend == ROTATION_UNASKED)
        return ROTATION_ASK_SPEND;
    if (run->find_new == ROTATION_UNASKED)
        return ROTATION_ASK_FIND_NEW;
    return run->new_key == ROTATION_UNASKED ? ROTATION_ASK_NEW_KEY
                                            : ROTATION_ASK_OLD_KEY;
}

/* Before a record of the new account is shown to anybody, it is proven: the URL
 * that came with the registration could be somebody else's. */
static enum rotation_ask question_move(const struct store_rotation *x,
                                       const struct rotation_run *run)
{
    if (!x->new_url)
        return ROTATION_ASK_REGISTER;
    return run->new_key == ROTATION_YES ? ROTATION_ASK_NONE
                                        : ROTATION_ASK_NEW_KEY;
}

/* Whether the account is ours at all. */
static bool asks_first(const struct store_rotation *x)
{
    return x->kind == ROTATION_KIND_COMPROMISED ||
           x->kind == ROTATION_KIND_RESOLVE;
}

static enum rotation_ask question(const struct store_rotation *x,
                                  const struct rotation_run *run, bool settled)
{
    if (x->state == ROTATION_UNRESOLVED)
        return question_unresolved(x, run);
    if (x->state == ROTATION_SWITCHED && x->confirmed_s == 0)
        return ROTATION_ASK_CONFIRM;
    if (run->unsure && x->state != ROTATION_SWITCH_REFUSED &&
        x->state != ROTATION_ABORTING)
        return ROTATION_ASK_OLD_KEY;
    /* A move asks the CA to change nothing of the old account. */
    if (x->state == ROTATION_ABORTING && x->new_jwk &&
        x->kind != ROTATION_KIND_MOVE && run->old_key != ROTATION_YES)
        return ROTATION_ASK_OLD_KEY;
    if (x->state == ROTATION_PLANNED && asks_first(x) &&
        run->old_key != ROTATION_YES)
        return ROTATION_ASK_OLD_KEY;
    if (rotation_proves_new(x))
        return question_move(x, run);
    if (x->state != ROTATION_SWITCHING || x->kind == ROTATION_KIND_MOVE)
        return ROTATION_ASK_NONE;
    if (x->sent_s == 0)
        return settled ? ROTATION_ASK_KEY_CHANGE : ROTATION_ASK_NONE;
    return x->reason ? question_refused(x, run) : ROTATION_ASK_NONE;
}

enum rotation_ask rotation_question(const struct store_rotation *x,
                                    const struct rotation_run *run,
                                    bool settled, uint64_t now_ms,
                                    uint64_t *ret_wait_ms)
{
    enum rotation_ask ask = question(x, run, settled);

    *ret_wait_ms = 0;
    if (ask == ROTATION_ASK_NONE || now_ms >= run->not_before_ms)
        return ask;
    *ret_wait_ms = run->not_before_ms - now_ms;
    return ROTATION_ASK_NONE;
}
