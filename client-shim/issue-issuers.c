/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <strings.h>

#include "acme/known-cas.h"
#include "client-shim/issue-judge.h"

/* Whose name may stand for the CA: the rules of design section 10. */

/* One name. false: it is another CA's. */
static bool counts(const char *name, const char *directory_url)
{
    switch (known_issuer_check(name, directory_url)) {
    case KNOWN_ISSUER_OK:
    case KNOWN_ISSUER_UNTABLED:
        return true;
    case KNOWN_ISSUER_MISMATCH:
    case KNOWN_ISSUER_UNSET:
        break;
    }
    return false;
}

/* false: there are names, and none of them counts. */
static bool take(const struct net_names *names, const char *directory_url,
                 struct issue_issuers *ret, const char **ret_name)
{
    size_t n = 0;

    for (uint32_t i = 0; i < names->n; i++) {
        if (counts(names->name[i], directory_url))
            ret->names[n++] = names->name[i];
    }
    ret->names[n] = NULL;
    if (names->n > 0 && n == 0 && ret_name)
        *ret_name = names->name[0];
    return names->n == 0 || n > 0;
}

static void take_known(const char *directory_url, struct issue_issuers *ret)
{
    const struct known_ca *ca = known_ca_of_directory(directory_url);
    size_t n = 0;

    while (ca && ca->issuers[n] && n < NET_NAMES_MAX) {
        ret->names[n] = ca->issuers[n];
        n++;
    }
    ret->names[n] = NULL;
}

int issue_issuers_find(const struct net_meta *meta, const char *directory_url,
                       struct issue_issuers *ret, const char **ret_name)
{
    const struct net_names *offered =
        meta->issuers.n > 0 ? &meta->issuers : &meta->caa_identities;
    struct issue_issuers found = { 0 };

    if (offered->n == 0)
        take_known(directory_url, &found);
    else if (!take(offered, directory_url, &found, ret_name))
        return ISSUE_JUDGE_E_MISMATCH;
    *ret = found;
    return 0;
}

const char *issue_challenge_code(enum issue_challenge c)
{
    switch (c) {
    case ISSUE_CHALLENGE_OK:
        return "ok";
    case ISSUE_CHALLENGE_ACCOUNTURI:
        return "accounturi-differs";
    case ISSUE_CHALLENGE_ISSUERS:
        return "issuers-inconsistent";
    case ISSUE_CHALLENGE_ORIGIN:
        return "issuer-origin-mismatch";
    case ISSUE_CHALLENGE_UNSET:
        break;
    }
    return "unset";
}

static bool among(const struct net_names *names, const char *name)
{
    for (uint32_t i = 0; i < names->n; i++) {
        if (strcasecmp(names->name[i], name) == 0)
            return true;
    }
    return false;
}

static bool subset(const struct net_names *a, const struct net_names *b)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (!among(b, a->name[i]))
            return false;
    }
    return true;
}

static bool consistent(const struct net_names *issuers,
                       const struct net_meta *meta)
{
    if (issuers->n == 0)
        return true;
    return subset(&meta->issuers, issuers) &&
           (meta->caa_identities.n == 0 ||
            subset(issuers, &meta->caa_identities));
}

enum issue_challenge issue_challenge_judge(const struct net_challenge *c,
                                           const struct net_meta *meta,
                                           const char *directory_url,
                                           const char *account_url,
                                           struct issue_issuers *ret)
{
    *ret = (struct issue_issuers){ 0 };
    if (c->accounturi[0] && strcmp(c->accounturi, account_url) != 0)
        return ISSUE_CHALLENGE_ACCOUNTURI;
    if (!consistent(&c->issuers, meta))
        return ISSUE_CHALLENGE_ISSUERS;
    if (!take(&c->issuers, directory_url, ret, NULL))
        return ISSUE_CHALLENGE_ORIGIN;
    return ISSUE_CHALLENGE_OK;
}
