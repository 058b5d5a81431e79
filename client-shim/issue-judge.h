/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/persist.h"
#include "client-shim/dns-lookup.h"
#include "client-shim/net-answer.h"

/*
 * Would the CA find what it needs? What servers say about a record is judged as
 * the CA will judge it, and what the CA says in a challenge is compared with
 * what it may say. Pure.
 */

enum issue_found {
    ISSUE_FOUND_UNSET = 0,
    ISSUE_FOUND,           /* every server that answers has what is needed */
    ISSUE_FOUND_NOT,       /* none has */
    ISSUE_FOUND_SOMEWHERE, /* one has, another has not */
    ISSUE_FOUND_UNKNOWN,   /* no server tells */
};

struct issue_judged {
    enum issue_found found;
    enum persist_verdict verdict; /* of the view, unless FOUND or UNKNOWN */
    enum persist_reason reason;
    const struct dns_view *view; /* the first that says so; NULL: none at all */
};

/**
 * issue_judge() - what servers say about one owner
 * @q: its issuers may be an empty list: then a record's own is taken, since it
 *     is not known which the CA wants
 *
 * Return: 0; -ENOMEM.
 */
int issue_judge(const struct dns_result *result,
                const struct persist_question *q,
                struct issue_judged *ret) MUST_CHECK;

/* A list of ours, as a question borrows it. */
static inline const char *const *issue_borrow(char *const *list)
{
    union {
        char *const *plain;
        const char *const *borrowed;
    } u = { list };

    return u.borrowed;
}

/* issue_judged_add() - of several places, one good record is enough; and that
 * somewhere nobody answers does not tell that it is not there. @all begins as
 * { 0 }; what it keeps otherwise is the first. */
void issue_judged_add(struct issue_judged *all, const struct issue_judged *j);

/* The values that one place of records may have for our account. */
struct issue_accepted {
    char *values[3]; /* NULL-ended */
};
void issue_accepted_deinit(struct issue_accepted *a);

struct issue_identity {
    const char *prefix; /* accountHashPrefix; NULL: records name the URL */
    const char *thumbprint;
    const char *account_url;
};

/* issue_accepted_make() - the account's URL; or, key-bound, the value for
 * @domain and the reusable one. Return: 0; REFUSED; -ENOMEM. */
int issue_accepted_make(const struct issue_identity *id, const char *domain,
                        struct issue_accepted *ret,
                        struct refusal *ret_refusal) MUST_CHECK;

/* issue_parent() - the name above, which may have a record for this one too
 * when records are key-bound; NULL where that is a top-level domain. */
const char *issue_parent(const char *domain);

/*
 * The issuer names that count: those that the CA offers and that its directory
 * may speak for (acme/known-cas.h).
 */
struct issue_issuers {
    const char *names[NET_NAMES_MAX + 1]; /* NULL-ended; borrowed */
};

/*
 * issue_issuers_find() - the directory's issuerDomainNames; else its
 * caaIdentities; else the table's. To judge records that are there: which name
 * a new one gets, records add chooses by a narrower rule.
 *
 * Return: 0; ISSUE_JUDGE_E_MISMATCH with @ret_name: all of them are names of
 * other CAs.
 */
int issue_issuers_find(const struct net_meta *meta, const char *directory_url,
                       struct issue_issuers *ret,
                       const char **ret_name) MUST_CHECK;
#define ISSUE_JUDGE_E_MISMATCH 1

enum issue_challenge {
    ISSUE_CHALLENGE_UNSET = 0,
    ISSUE_CHALLENGE_OK,
    ISSUE_CHALLENGE_ACCOUNTURI, /* "accounturi-differs" */
    ISSUE_CHALLENGE_ISSUERS,    /* "issuers-inconsistent" */
    ISSUE_CHALLENGE_ORIGIN,     /* "issuer-origin-mismatch" */
};
const char *issue_challenge_code(enum issue_challenge c);

/**
 * issue_challenge_judge() - may this challenge be answered?
 * @ret: the issuers that it names and that count; as they are borrowed from it
 *
 * directory's issuers ⊆ the challenge's ⊆ caaIdentities, where each is given.
 */
enum issue_challenge issue_challenge_judge(const struct net_challenge *c,
                                           const struct net_meta *meta,
                                           const char *directory_url,
                                           const char *account_url,
                                           struct issue_issuers *ret);
