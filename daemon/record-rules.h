/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/*
 * Which account may have records for which issuer name, and whose values may be
 * shown (design section 10). Pure.
 */

/* record_is_staging() - is the account at a CA for tests, by the table? */
bool record_is_staging(const struct store_account *a);

#define PROOF_MAX_AGE_S (24 * 3600)

/* @code is stable and listed in acme-guardian.admin(7); or it is the one that
 * the last attempt at a proof left, and lives in the account. */
struct record_refusal {
    const char *code; /* "proof-expired" */
    char text[480];   /* what is wrong, and what to do */
};

/**
 * record_issuer_check() - may this account have a record for this issuer name?
 *
 * The table of known CAs decides; for a CA that it does not list, the operator
 * has typed the name; and what the directory offers, if anything, has it.
 *
 * Return: 0; REFUSED with *ret_refusal.
 */
int record_issuer_check(const struct store_account *a, const char *issuer,
                        struct record_refusal *ret_refusal) MUST_CHECK;

/**
 * record_proof_check() - is it proven now that the account is ours?
 *
 * For this account URL, with this key, at most PROOF_MAX_AGE_S ago, and not
 * after @now_s (the clock was set back since).
 *
 * Return: 0; REFUSED with *ret_refusal.
 */
int record_proof_check(const struct store_account *a, int64_t now_s,
                       struct record_refusal *ret_refusal) MUST_CHECK;
