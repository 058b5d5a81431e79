/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/apply-plan.h"
#include "client-shim/ctl-account.h"

/* guardianctl apply: what is to be done and who is asked for it (ctl-apply.c),
 * and the doing (apply-run.c). */

/* A CA, and what all accounts there share: the child with its connection, the
 * daemon's connection, the directory that was fetched. */
struct apply_ca {
    const char *directory; /* borrowed */
    const char *ca_file;   /* borrowed; NULL: the system's roots */
    struct ctl_conversation v;
    bool stopped; /* it does not answer, or asks to wait too long */
};

struct apply {
    const struct ctl_context *c;
    struct ctl_context plain; /* the same without --json */
    struct account_wishes *wishes;
    struct apply_ca *cas;
    size_t n_cas;
    struct ctl_daemon daemon;
    struct apply_step *steps; /* one for each wish */
    json_t *full;             /* tokens with no room for another key */
    json_t *report;           /* an object for each account */
    size_t n_changed, n_kept, n_failed, n_without_file;
};

/* apply_find_ca() - the one of a wish; NULL while there is none yet. */
struct apply_ca *apply_find_ca(const struct apply *a,
                               const struct account_wish *w);

/* apply-room.c: which token needs room for how many keys, and which has not.
 * Return: an exit code. */
int apply_say_room(struct apply *a) MUST_CHECK;

/* apply_run_step() - what the step asks for, as far as it goes. Return: an exit
 * code; all was printed. */
int apply_run_step(struct apply *a, struct apply_step *s,
                   json_t *done) MUST_CHECK;
