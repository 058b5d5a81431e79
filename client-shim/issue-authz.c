/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-print.h"
#include "client-shim/issue.h"

/* Authorizations (RFC 8555 section 7.5): those that are valid already are left
 * alone; of the others the challenge of dns-persist-01 is answered, of all of
 * them before the first is waited for. */

#define TYPE "dns-persist-01"

/* "*.example.com" */
static void format_name(const struct net_authz *z,
                        char ret[static DNS_NAME_MAX + 3])
{
    (void)snprintf(ret, DNS_NAME_MAX + 3, "%s%s", z->wildcard ? "*." : "",
                   z->identifier);
}

static bool is_word(const char *status, const char *word)
{
    return strcmp(status, word) == 0;
}

static int check_identifier(const struct issue *i, const struct net_authz *z)
{
    char name[DNS_NAME_MAX + 3];

    format_name(z, name);
    if (is_word(z->identifier_type, "dns") &&
        identifiers_has(&i->names, IDENTIFIER_DNS, bytes_from_str(name)))
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_MALFORMED,
                    "the CA wants an authorization for %s %s, which was not "
                    "ordered",
                    z->identifier_type, name);
}

static int refuse_challenge(const struct issue *i, enum issue_challenge why,
                            const char *name, const char *text)
{
    if (i->context->json)
        ctl_print_json(json_pack("{s:s, s:s, s:s}", "error",
                                 issue_challenge_code(why), "domain", name,
                                 "text", text));
    return ctl_fail(CTL_EXIT_NO, "%s: %s: %s: the challenge was not answered",
                    name, issue_challenge_code(why), text);
}

static int check_challenge(struct issue *i, const struct net_authz *z,
                           const char *name)
{
    const struct net_challenge *c = &z->persist;
    struct issue_issuers issuers;
    enum issue_challenge why;
    char text[NET_TEXT_MAX + ACME_URL_MAX];

    why = issue_challenge_judge(c, &i->directory->meta, i->directory_url,
                                i->identity.account_url, &issuers);
    switch (why) {
    case ISSUE_CHALLENGE_OK:
        return issue_precheck_again(i, z->identifier, z->wildcard != 0,
                                    issuers.names[0] ? &issuers : &i->issuers);
    case ISSUE_CHALLENGE_ACCOUNTURI:
        (void)snprintf(text, sizeof(text),
                       "the CA names the account %s, which is not ours (%s)",
                       c->accounturi, i->identity.account_url);
        break;
    case ISSUE_CHALLENGE_ISSUERS:
        (void)snprintf(text, sizeof(text),
                       "the issuer names of the challenge are not between the "
                       "directory's issuerDomainNames and its caaIdentities");
        break;
    case ISSUE_CHALLENGE_ORIGIN:
    case ISSUE_CHALLENGE_UNSET:
        (void)snprintf(text, sizeof(text), "%s is not a name of the CA at %s",
                       c->issuers.name[0], i->directory_url);
        break;
    }
    return refuse_challenge(i, why, name, text);
}

/* The answer to post is one that the look-up before says will be good. */
static int answer_challenge(struct issue *i, bool *ret_pending)
{
    const struct net_authz z = i->ca.answer->authz;
    char name[DNS_NAME_MAX + 3];
    int r;

    format_name(&z, name);
    if (!z.has_persist)
        return ctl_fail(CTL_EXIT_NO, "%s: the CA offers no " TYPE " (%s)", name,
                        z.offered[0] ? z.offered : "no challenge at all");
    r = check_challenge(i, &z, name);
    if (r)
        return r;
    *ret_pending = true;
    /* One that an earlier run answered is being looked at. */
    return is_word(z.persist.status, "pending")
               ? issue_post(i, NET_KIND_CHALLENGE, z.persist.url, "{}")
               : CTL_EXIT_DONE;
}

static int report_failed(const struct issue *i)
{
    const struct net_authz *z = &i->ca.answer->authz;
    const struct net_problem *p = &z->persist.error;
    char name[DNS_NAME_MAX + 3];

    format_name(z, name);
    if (i->context->json)
        ctl_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s}", "error",
                                 "authorization-failed", "domain", name,
                                 "status", z->status, "type", p->type, "text",
                                 p->detail));
    return ctl_fail(CTL_EXIT_NO, "%s: the authorization is %s: %s%s%s", name,
                    z->status, ctl_ca_problem_name(p), p->detail[0] ? ": " : "",
                    p->detail);
}

static int begin(struct issue *i, const char *url, bool *ret_pending)
{
    const struct net_authz *z = &i->ca.answer->authz;
    int r;

    *ret_pending = false;
    r = issue_poll(i, NET_KIND_AUTHZ, url);
    if (r == 0)
        r = check_identifier(i, z);
    if (r || is_word(z->status, "valid"))
        return r;
    return is_word(z->status, "pending") ? answer_challenge(i, ret_pending)
                                         : report_failed(i);
}

static int finish(struct issue *i, const char *url)
{
    const struct net_authz *z = &i->ca.answer->authz;
    unsigned tries = 0;
    int r;

    for (;;) {
        r = issue_poll(i, NET_KIND_AUTHZ, url);
        if (r || is_word(z->status, "valid"))
            return r;
        if (!is_word(z->status, "pending"))
            return report_failed(i);
        r = issue_pause(i, "its validation", &tries);
        if (r)
            return r;
    }
}

int issue_authorize(struct issue *i)
{
    CLEANUP_FREE bool *pending = calloc(i->n_authorizations, sizeof(*pending));
    int r = CTL_EXIT_DONE;

    if (!pending)
        return ctl_fail_errno(-ENOMEM, "order");
    for (uint32_t n = 0; r == 0 && n < i->n_authorizations; n++)
        r = begin(i, i->authorizations[n], &pending[n]);
    for (uint32_t n = 0; r == 0 && n < i->n_authorizations; n++) {
        if (pending[n])
            r = finish(i, i->authorizations[n]);
    }
    return r;
}
