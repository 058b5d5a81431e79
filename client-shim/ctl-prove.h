/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-conversation.h"

/*
 * Whose the account is (design section 10): before a record names an account,
 * the CA at its very URL has answered our key that it is ours.
 */

enum prove_verdict {
    PROVE_UNSET = 0,
    PROVE_OURS,
    PROVE_NOT,     /* said so, or said something that no CA of ours says */
    PROVE_UNKNOWN, /* nobody could be asked: what was proven stays */
};

struct prove_question {
    const char *account_url;
    const char *thumbprint; /* of our key */
    bool elsewhere;         /* of another origin than the directory */
};

/**
 * prove_judge() - what an answer to the proof's request means. Pure.
 * @ret_reason: "account-not-ours", "account-not-valid",
 *              "account-host-untrusted" (elsewhere alone: of the
 *              directory's own host it may be a forgotten --ca-file)
 * @ret_words:  for an operator, at most PROVE_TEXT_MAX octets; of PROVE_NOT
 */
int prove_judge(const struct net_answer *a, const struct prove_question *q,
                enum prove_verdict *ret, const char **ret_reason,
                struct buf *ret_words) MUST_CHECK;
#define PROVE_TEXT_MAX 400

/* ctl_prove_is_elsewhere() - not of the directory's origin: then the system's
 * roots count, and no --ca-file. */
bool ctl_prove_is_elsewhere(struct ctl_conversation *v, const char *url);

/* ctl_prove_account() - prove the conversation's account now, and let the
 * daemon keep what came of it. *ret is its answer; may be NULL.
 * CTL_EXIT_DONE: it is ours. */
int ctl_prove_account(struct ctl_conversation *v, json_t **ret) MUST_CHECK;

/* ctl_prove_if_due() - the same, if the proof that the daemon has is missing
 * or not current; then the directory is read again, too, and what is different
 * there is said on stderr. */
int ctl_prove_if_due(struct ctl_conversation *v) MUST_CHECK;

/**
 * ctl_prove_all_due() - the same for these accounts, before a command shows
 * records of them
 *
 * Has a conversation of its own, so it is called before the command has one.
 * The command's options have CTL_CA_OPTIONS. All are tried.
 *
 * Return: CTL_EXIT_DONE; the code of the first that is not proven.
 */
int ctl_prove_all_due(const struct ctl_context *c, const char *const *accounts,
                      size_t n) MUST_CHECK;
