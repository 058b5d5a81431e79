/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/* Records as JSON, and the values that stand in DNS for them. Pure. */

/* record_put_facts() - {"account":...,"persistUntil":..., still open. */
int record_put_facts(struct buf *b, const struct store_record *x) MUST_CHECK;

bool record_form_ok(const char *form); /* "url", "key-bound" */

/* What the values of an account's records are made of. */
struct record_source {
    const struct store_account *account;
    /* The account's, or what the caller sets. */
    const char *thumbprint, *url;
    bool key_bound;
    bool staging;
    struct buf accounturi, value; /* of the last one */
};

/**
 * record_source_init() - by what the account's directory says, or by @form
 * @account: borrowed
 * @form:    NULL, or one that is record_form_ok()
 *
 * Return: 0; REFUSED: key-bound, and there is no prefix.
 */
int record_source_init(struct record_source *s,
                       const struct store_account *account,
                       const char *form) MUST_CHECK;
void record_source_deinit(struct record_source *s);

/* What is said beside a value: that it should not stand in DNS any more. */
struct record_marks {
    bool expired, denied;
};

/**
 * record_put_value() - a RecordValue, appended to @b
 *
 * Return: 0; REFUSED: no CA would accept it; -ENOMEM.
 */
int record_put_value(struct record_source *s, const struct store_record *x,
                     const struct record_marks *marks, struct buf *b,
                     struct refusal *ret_refusal) MUST_CHECK;
