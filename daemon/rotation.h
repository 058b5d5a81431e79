/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"
#include "daemon/open-orders.h"
#include "daemon/store.h"

/*
 * The state machine of a rotation (design section 11), as pure functions: what
 * has to be asked of the CA next, what its answer means, which state follows.
 * daemon/rotate.h makes it happen.
 *
 *   planned -> key-generated -> draining -> switching -> switched -> cleaned
 *                  |               ^           |            |         -> done
 *                  v               |           |            |
 *     records-published -> records-verified    |            |
 *                                              |            |
 *     any state before the request is out      |            |
 *       -> aborting -> aborted                 |-> switch-refused -> aborting
 *                                              |            |
 *                                              '-> unresolved -> account-lost
 *
 * From switched to unresolved, if the CA refuses the new key for so long that
 * it cannot have done what it said; from records-published to draining, if a
 * compromised one overtakes a planned one.
 *
 * From aborting, too, if the CA does not take the old key: this registry may be
 * a copy from before the switch.
 *
 * Kinds other than the planned one go the same way. compromised asks first
 * whether the old key still opens the account (planned -> account-lost if not)
 * and waits for no order. move registers another account with the new key and
 * puts it in the old one's place: no keyChange, and in cleaned the old account
 * is deactivated. adopt has its old key outside, release the new one: what they
 * are to sign is given out without its signature.
 *
 * The states of records are for accounts whose records name their key
 * (daemon/rotation-records.h); those whose records name their URL have nothing
 * to publish. A record that is added later leads back to records-published.
 */

/* What to ask the CA; each is one request on a connection of its own. */
enum rotation_ask {
    ROTATION_ASK_NONE = 0,
    ROTATION_ASK_KEY_CHANGE, /* keyChange (RFC 8555 section 7.3.5) */
    ROTATION_ASK_SPEND,      /* its nonce, on a POST-as-GET by the old key */
    ROTATION_ASK_FIND_NEW, /* newAccount, onlyReturnExisting, by the new key */
    ROTATION_ASK_NEW_KEY,  /* POST-as-GET of the account URL by the new key */
    ROTATION_ASK_OLD_KEY,  /* and by the old */
    ROTATION_ASK_CONFIRM,  /* as NEW_KEY, until all front ends know it */
    ROTATION_ASK_PROVE,    /* AccountSignProof, AccountProven */
    ROTATION_ASK_REGISTER, /* move: newAccount by the new key */
    ROTATION_ASK_DEACTIVATE, /* move: of the old account, by its key */
    ROTATION_ASK_COUNT
};
const char *rotation_ask_name(enum rotation_ask ask); /* "key-change" */
enum rotation_ask rotation_ask_parse(const char *name);

#define ROTATION_CONFIRMS 3
#define ROTATION_TRIES 4 /* of keyChange, after badNonce */
/* Of the new key after a switch: longer than any front end goes on knowing only
 * the old one, and within the longest hold. */
#define ROTATION_NOT_SWITCHED_MS 30000
#define ROTATION_REFUSALS 3          /* before a compromised one is lost */
#define ROTATION_CONSISTENT_MS 60000 /* before "not switched" is believed */
#define ROTATION_HOLD_MS 60000       /* longest that a request is held */
#define ROTATION_ORDERS_MS 30000     /* new orders, while open ones finish */
#define ROTATION_SWITCH_MS 5000      /* the CA's time for its answers */
/* Where neither the command nor the account says how long. */
#define ROTATION_GRACE_S 86400
#define ROTATION_ORDER_DRAIN_S 120
#define ROTATION_SETTLE_S 5
#define ROTATION_CACHE_S 15
#define ROTATION_CACHE_MAX_S 30 /* with the settling, below the hold */
#define ROTATION_SETTLE_MAX_S 15
#define ROTATION_GRACE_MAX_S (90 * 86400)
#define ROTATION_ORDER_DRAIN_MAX_S (OPEN_ORDERS_KEEP_MS / 1000)

/* What the CA has said of a key in this round. */
enum rotation_word {
    ROTATION_UNASKED = 0,
    ROTATION_YES,
    ROTATION_NO,
    ROTATION_UNKNOWN, /* asked, but the answer says nothing */
};

/* What only this run of the daemon knows. All zero: nothing yet. */
struct rotation_run {
    enum rotation_word spend, find_new, new_key, old_key;
    enum rotation_word consistent; /* of the rounds: YES old, NO neither */
    uint64_t consistent_ms;        /* since when */
    unsigned n_confirmed;          /* one after the other */
    uint64_t confirm_ms;           /* the first of them */
    uint64_t asked_ms;         /* the first answer after the switch; 0: none */
    uint64_t refused_ms;       /* the first refusal of the new key; 0: none */
    bool was_confirmed;        /* once, by whichever front end */
    bool late;                 /* refused when the cache time was over */
    uint64_t not_before_ms;    /* the next question */
    bool deactivation_refused; /* move: why, the old key's word says */
    unsigned n_refused; /* compromised: the old key, one after the other */
    /* The registry may be a copy from before a switch, and nobody has asked the
     * CA since the daemon's start. */
    bool unsure;
};

/* A CA's answer, as guardianctl relays it. Strings may be NULL. */
struct rotation_answer {
    unsigned http_status; /* 0: there was none that could be read */
    const char *problem;  /* URN, or empty */
    const char *detail;
    const char *location;
    const char *account_status; /* "valid" */
    const char *thumbprint;     /* of the key in the account object */
    bool no_key; /* nobody was asked: the token does not have that key */
};

/* rotation_orders_held_ms() - how long new orders may wait in draining: they
 * wait on while the CA switches, and no longer than ROTATION_HOLD_MS in all. */
uint64_t rotation_orders_held_ms(const struct store_rotation *x);

/* rotation_may_be_old() - after such a state of a copy the CA may have
 * switched: asked for at the start, since nobody can tell a copy from what was
 * copied. */
bool rotation_may_be_old(const struct store_rotation *x);

/* rotation_is_over() - done or aborted: another one may begin. */
bool rotation_is_over(enum rotation_state s);

/* Whose key is none of a token's here: only its owner can sign with it. */
bool rotation_old_is_outside(const struct store_rotation *x);
bool rotation_new_is_outside(const struct store_rotation *x);
/* rotation_is_by_new() - which key signs the question; keyChange is by both,
 * the outer signature by the old one. */
bool rotation_is_by_new(enum rotation_ask ask);

/* rotation_is_lost() - the key that would sign does not open the account. */
bool rotation_is_lost(const struct store_rotation *x);

/* rotation_deactivates() - cleaned: the old account is to be, at the CA. */
bool rotation_deactivates(const struct store_rotation *x);

/* rotation_deactivation() - what is asked for that. */
enum rotation_ask rotation_deactivation(const struct rotation_run *run);

/* rotation_proves_new() - records may be about to name another account, which
 * is registered and has to answer the new key first, in each run of the
 * daemon. */
bool rotation_proves_new(const struct store_rotation *x);

/* rotation_registered() - a move's new account is there at the CA. */
bool rotation_registered(const struct store_rotation *x);

/* rotation_may_abort() - nothing has been given out that could still switch,
 * and the new account is not the only one that is left. */
bool rotation_may_abort(const struct store_rotation *x);

/* rotation_may_go() - the arrows of the drawing above. */
bool rotation_may_go(enum rotation_state from, enum rotation_state to);

/* What happens next, and by whom: "guardian" by itself, "ops" with guardianctl
 * rotate resume, "operator" after thinking, or "nobody". */
struct rotation_next {
    const char *actor, *text;
};
struct rotation_next rotation_next(const struct store_rotation *x);

/**
 * rotation_question() - what to ask the CA now
 * @settled: in switching: the last signature has had its time
 *
 * ROTATION_ASK_PROVE is not found here: proofs belong to the account.
 *
 * Return: the question; or ROTATION_ASK_NONE with *ret_wait_ms, 0 when nothing
 * is to be asked in this state.
 */
enum rotation_ask rotation_question(const struct store_rotation *x,
                                    const struct rotation_run *run,
                                    bool settled, uint64_t now_ms,
                                    uint64_t *ret_wait_ms);

struct rotation_clock {
    int64_t s;   /* since 1970 */
    uint64_t ms; /* monotonic */
};

/* What hearing an answer leads to: shallow, only to be copied from. */
struct rotation_step {
    struct store_rotation row; /* text points into @text or the answer */
    struct rotation_run run;
    char text[256];
};

/**
 * rotation_hear() - an answer to @ask
 * @account_url: ours; any other Location is an error
 * @ret: must stay where it is; row.state says what follows
 *
 * Return: 0; ROTATION_E_UNASKED: that was not the question.
 */
int rotation_hear(const struct store_rotation *x,
                  const struct rotation_run *run, enum rotation_ask ask,
                  const struct rotation_answer *answer, const char *account_url,
                  const struct rotation_clock *now,
                  struct rotation_step *ret) MUST_CHECK;
#define ROTATION_E_UNASKED 1
