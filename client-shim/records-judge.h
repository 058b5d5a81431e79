/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/persist.h"
#include "client-shim/dns-lookup.h"
#include "client-shim/records-kept.h"

/*
 * Would the CA that a record is for accept what is published? Judged at every
 * server by itself, since a CA may ask any of them. Pure.
 */

enum check_state {
    CHECK_UNSET = 0,
    CHECK_OK,
    CHECK_FOUND,   /* a server has something that the CA refuses */
    CHECK_UNKNOWN, /* a server does not tell, and none that tells is bad */
};
const char *check_state_word(enum check_state s); /* "ok" */

/* What one server's answer is worth. */
struct check_view {
    const struct dns_view *view; /* borrowed from the result */
    enum check_state state;
    enum persist_verdict verdict; /* UNSET where nothing could be judged */
    enum persist_reason reason;
};

struct check_judged {
    enum check_state state;
    bool disagree; /* servers have different records */
    struct check_view *views;
    size_t n_views; /* those that do not only lead on */
};
void check_judged_deinit(struct check_judged *j);
#define CLEANUP_CHECK_JUDGED CLEANUP(check_judged_deinit)

/**
 * check_judge() - a result for v->domain's owner, against one record
 *
 * The answer of a resolver that finds DNSSEC's signatures bad is found, not
 * unknown: a CA validates, too.
 *
 * Return: 0; -ENOMEM.
 */
int check_judge(const struct dns_result *result, const struct kept_value *v,
                int64_t now_s, struct check_judged *ret) MUST_CHECK;

/* check_advice() - what to do, in words; NULL: nothing. */
const char *check_advice(const struct check_judged *j);
