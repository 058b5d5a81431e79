/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl.h"
#include "policy/policy.h"

/*
 * `guardianctl policy`: what the daemon would say, without the daemon. The same
 * readers and the same policy/, on files that the caller names.
 */

/* Who asks for what account, and the rules. */
struct ctl_case {
    struct policy_set *set;
    struct acme_account *account;
    gid_t *gids;
    struct policy_caller caller;
};
#define CLEANUP_CTL_CASE CLEANUP(ctl_case_deinit)
void ctl_case_deinit(struct ctl_case *k);

/**
 * ctl_policy_load() - the set of @dir, or of the settings' directory when NULL
 *
 * [Deny] of guardian.conf applies when --config is given or @dir is not.
 *
 * Return: 0; the exit code, with the error printed.
 */
int ctl_policy_load(const struct ctl_context *c, const char *dir,
                    struct policy_set **ret) MUST_CHECK;

/* ctl_case_init() - from the options. Return: as above. */
int ctl_case_init(struct ctl_case *k, const struct ctl_context *c) MUST_CHECK;

/* The answer to one request. */
struct ctl_verdict {
    enum ctl_exit code;    /* DONE, NO, MALFORMED */
    enum reason reason;    /* REASON_UNSET if allowed */
    const char *rule_file; /* of the rule set that decided; NULL: none */
    unsigned rule_line;
    struct refusal refusal;       /* of the reader: where and what */
    struct acme_request *request; /* NULL if malformed */
};
#define CLEANUP_CTL_VERDICT CLEANUP(ctl_verdict_deinit)
void ctl_verdict_deinit(struct ctl_verdict *v);

/* ctl_case_judge() - both parts in base64url. Return: 0; negative errno. */
int ctl_case_judge(const struct ctl_case *k, struct bytes protected_b64,
                   struct bytes payload_b64,
                   struct ctl_verdict *ret) MUST_CHECK;

const char *ctl_verdict_word(const struct ctl_verdict *v); /* "allowed" */

/* ctl_policy_batch() - requests from stdin, one JSON object a line. Return: the
 * exit code. */
int ctl_policy_batch(const struct ctl_case *k);
