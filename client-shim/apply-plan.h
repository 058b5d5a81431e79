/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "client-shim/account-files.h"

/*
 * What differs between a file of accounts.d and the daemon's registry. Pure.
 */

enum apply_action {
    APPLY_NONE = 0,
    APPLY_CREATE = 1 << 0,   /* a key, and an account of the registry */
    APPLY_REGISTER = 1 << 1, /* at the CA */
    APPLY_CONTACTS = 1 << 2,
    APPLY_ISSUERS = 1 << 3,
    APPLY_SCHEDULE = 1 << 4, /* how its key is rotated */
};

#define APPLY_LAST APPLY_SCHEDULE

struct apply_step {
    const struct account_wish *wish; /* borrowed */
    unsigned actions;
    json_t *not_done; /* strings: what differs and stays, and why */
};
void apply_step_deinit(struct apply_step *s);

/**
 * apply_compare() - one account
 * @facts: an account as AccountList has it; NULL: there is none
 *
 * Return: 0; -ENOMEM.
 */
int apply_compare(const struct account_wish *wish, const json_t *facts,
                  struct apply_step *ret) MUST_CHECK;

/* apply_action_text() - "make an ES256 key on the token hsm", of one action. */
int apply_action_text(const struct account_wish *wish, enum apply_action action,
                      struct buf *ret) MUST_CHECK;
