/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-records-dns.h"
#include "client-shim/ctl-records-ours.h"
#include "client-shim/publish-own.h"

/*
 * records withdraw: every record of one account out of DNS, because it is in
 * other hands. The account need not be proven, and nothing is forgotten here:
 * the account that takes its place has the same records.
 *
 *   ctl-records-withdraw.c  the steps, and what is said
 *   withdraw-dns.c          removing, the wait, CAA records
 *
 * Functions return exit codes: CTL_EXIT_DONE to go on, or what ends the run.
 */

struct withdraw_name {
    char *domain, *issuer;
    char owner[ZONE_OWNER_MAX];
};

struct withdraw {
    const struct ctl_context *c;
    const char *account;
    uint64_t wait_s;
    struct ctl_dns dns;
    struct ctl_ours ours;
    char *instead; /* URL of the account that takes its place; NULL: none */
    struct withdraw_name *names; /* one for each domain and issuer */
    size_t n;
    struct publish_own own;
    uint32_t ttl_s;           /* the longest that was seen */
    size_t n_left, n_unknown; /* servers still have it; do not tell */
    json_t *plan, *caa;       /* with --json */
    bool by_hand;
};

int withdraw_remove(struct withdraw *w) MUST_CHECK;
int withdraw_wait(struct withdraw *w) MUST_CHECK;
int withdraw_caa(struct withdraw *w) MUST_CHECK;
