/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/hold.h"
#include "daemon/open-orders.h"
#include "daemon/store.h"

struct guardian;
struct rotation;
struct token;

/*
 * The accounts in memory: the registry's rows, and what is only true now. An
 * account once loaded keeps its address until the daemon ends.
 */
struct account {
    struct store_account row;
    struct token *token; /* NULL: no such [Token] section */
    /*
     * Token and registry disagree (design section 9): why. NULL: they agree,
     * or the token could not be asked yet, and then it does not sign either.
     * Found out anew each time, never stored.
     */
    char *unresolved;

    unsigned seen_generation; /* the highest of its keys on any token */
    /* Of its keys on other tokens than its own: the highest, and where. */
    unsigned elsewhere;
    const struct token *elsewhere_token;
    /* Another number with each change of its records, and in each run of the
     * daemon: whoever has read them all knows by it that they are the same. */
    uint64_t records_revision;

    struct rotation *rotation; /* the last one, or NULL (daemon/rotate.h) */
    bool resolving;            /* RotationResolve looks for its keys */
    struct hold hold;          /* requests that wait for it */
    struct open_orders orders;
    unsigned in_flight;   /* signatures that the token was asked for */
    unsigned new_orders;  /* of these, that begin an order */
    uint64_t released_ms; /* when the last one left; 0: none did */
};

struct accounts {
    struct account **items; /* by name */
    size_t n;
};

/* accounts_load() - all rows of g->store. */
int accounts_load(struct guardian *g) MUST_CHECK;
void accounts_deinit(struct accounts *a);

struct account *accounts_find(const struct accounts *a, const char *name);

/* accounts_find_key() - the account that has this key, or NULL. */
struct account *accounts_find_key(const struct accounts *a,
                                  const struct jwk *key);

/* accounts_add() - registry first, then memory. STORE_E_EXISTS. */
int accounts_add(struct guardian *g, const struct store_account *row,
                 struct account **ret) MUST_CHECK;

/* accounts_update() - the row of @a becomes @row, in the registry and here. */
int accounts_update(struct guardian *g, struct account *a,
                    const struct store_account *row) MUST_CHECK;

/* accounts_rotate() - the same, in one transaction with the rotation. */
int accounts_rotate(struct guardian *g, struct account *a,
                    const struct store_account *row,
                    const struct store_rotation *rotation) MUST_CHECK;

/* accounts_ask_all() - every registered one becomes must_ask: the registry may
 * be an old one. */
int accounts_ask_all(struct guardian *g) MUST_CHECK;

/* accounts_say_asked() - at the start: those that are. */
void accounts_say_asked(struct guardian *g);

/* account_why_unresolved() - for people; NULL: it is not. */
const char *account_why_unresolved(const struct account *a);

/* account_status() - of the row, or ACCOUNT_NEEDS_RESOLVE. */
enum account_status account_status(const struct account *a);

/* account_is_over() - deactivated or revoked: no key opens it any more. */
bool account_is_over(enum account_status s);

/* account_has_key() - one that is here: not adopting, not released. */
bool account_has_key(const struct account *a);

/* account_state() - its name, or that of the rotation that holds it. */
const char *account_state(const struct account *a);

/* account_set_unresolved() - @why NULL: token and registry agree. */
void account_set_unresolved(struct guardian *g, struct account *a,
                            const char *why);
