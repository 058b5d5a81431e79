/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/ruleset.h"

/*
 * One rule set and one request: the guards, in the order in which they are
 * asked. policy_eval() wants the verdict, policy_explain() the words.
 */

/**
 * policy_match_client() - is this caller the one that [Client] means?
 * @ret_key:     the condition that failed, "User"; written on REFUSED only
 * @ret_refusal: the detail says why; may be NULL
 *
 * Return: 0; REFUSED.
 */
int policy_match_client(const struct policy_ruleset *rs,
                        const struct policy_caller *caller,
                        const struct policy_names *names, const char **ret_key,
                        struct refusal *ret_refusal) MUST_CHECK;

struct policy_question {
    const struct policy_set *set;
    const struct acme_request *request;
    int64_t now;
    policy_quota_fn quota;
    void *quota_userdata;
};

/* What refused, and how far the request had come until then. */
struct policy_refusal {
    const char *key;        /* "Domain" */
    const char *identifier; /* or NULL */
    unsigned progress;      /* more is further; at least 1 */
    struct refusal refusal;
};

/**
 * policy_match_request() - does [Allow] allow all of this request?
 *
 * Return: 0; REFUSED.
 */
int policy_match_request(const struct policy_ruleset *rs,
                         const struct policy_question *q,
                         struct policy_refusal *ret_refusal) MUST_CHECK;
