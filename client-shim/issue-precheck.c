/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/issue-places.h"

/*
 * Before the CA is asked for anything: is there, for every name, a record that
 * it will accept? A failed validation counts against the CA's limits, a look-up
 * of ours does not.
 */

/* ---- the judgement ---- */

static int judge_place(const struct issue_place *at, bool wildcard,
                       const struct issue_issuers *issuers,
                       struct issue_judged *ret)
{
    const struct persist_question q = {
        .wildcard = wildcard,
        .issuers = issuers->names,
        .accepted = issue_borrow(at->accepted.values),
        .now_s = time(NULL),
    };

    *ret = (struct issue_judged){ 0 };
    return at->looked ? issue_judge(&at->result, &q, ret) : 0;
}

/* Of a subject: all of its places, its own first. */
static int judge(const struct issue *i, const struct issue_subject *s,
                 bool wildcard, const struct issue_issuers *issuers,
                 struct issue_judged *ret)
{
    *ret = (struct issue_judged){ 0 };
    for (size_t k = s->first; k < s->first + s->n; k++) {
        const struct issue_place *at = &i->precheck->places[k];
        struct issue_judged j;
        int r;

        r = judge_place(at, k == s->first ? wildcard : at->wildcard, issuers,
                        &j);
        if (r)
            return ctl_fail_errno(r, s->domain);
        issue_judged_add(ret, &j);
    }
    return CTL_EXIT_DONE;
}

/* ---- what to say ---- */

/* The value that would do; empty where the CA's name is not known. */
static int format_value(const struct issue *i, const struct issue_subject *s,
                        struct buf *ret)
{
    const struct issue_place *own = &i->precheck->places[s->first];
    const struct persist_record record = { .issuer = i->issuers.names[0],
                                           .accounturi =
                                               own->accepted.values[0],
                                           .wildcard = s->wildcard };
    struct refusal refusal;
    int r;

    if (!record.issuer)
        return buf_printf(ret, "(the CA's issuer name); accounturi=%s%s",
                          record.accounturi,
                          record.wildcard ? "; policy=wildcard" : "");
    r = persist_format(&record, ret, &refusal);
    return r == REFUSED ? 0 : r;
}

static int add_json(json_t *list, const struct issue_subject *s,
                    const struct issue_judged *j, const char *owner,
                    const char *value)
{
    const char *found = j->found == ISSUE_FOUND_UNKNOWN     ? "unknown"
                        : j->found == ISSUE_FOUND_SOMEWHERE ? "disagree"
                                                            : "no";

    return json_array_append_new(
               list, json_pack("{s:s, s:b, s:s, s:s, s:s*, s:s, s:s}", "domain",
                               s->domain, "wildcard", s->wildcard, "found",
                               found, "reason",
                               j->found == ISSUE_FOUND_UNKNOWN
                                   ? j->view ? dns_status_code(j->view->status)
                                             : "no-server"
                                   : persist_reason_code(j->reason),
                               "server", j->view ? j->view->server : NULL,
                               "owner", owner, "value", value)) < 0
               ? -ENOMEM
               : 0;
}

static void say_why(const struct issue_subject *s, const struct issue_judged *j)
{
    const char *star = s->wildcard ? "*." : "";
    const char *server = j->view && j->view->server ? j->view->server : "";

    if (j->found == ISSUE_FOUND_UNKNOWN)
        (void)ctl_fail(CTL_EXIT_DONE,
                       "%s%s: its record cannot be looked up: %s%s%s%s%s", star,
                       s->domain,
                       j->view ? dns_status_words(j->view->status)
                               : "there is no server to ask",
                       *server ? ": " : "", server,
                       j->view && j->view->text[0] ? ": " : "",
                       j->view ? j->view->text : "");
    else
        (void)ctl_fail(CTL_EXIT_DONE, "%s%s: %s: %s: %s%s%s", star, s->domain,
                       j->found == ISSUE_FOUND_SOMEWHERE
                           ? "not every server has a record that authorizes "
                             "the account"
                           : "no record authorizes the account",
                       persist_reason_code(j->reason),
                       persist_reason_text(j->reason), *server ? ": " : "",
                       server);
}

static int say(const struct issue *i, const struct issue_subject *s,
               const struct issue_judged *j, json_t *list)
{
    CLEANUP_BUF struct buf value = { 0 };
    CLEANUP_FREE char *owner = calloc(1, ZONE_OWNER_MAX);
    int r;

    if (!owner ||
        zone_write_owner(issue_places_zone(i, s->domain), s->domain, owner) ||
        format_value(i, s, &value))
        return ctl_fail_errno(-ENOMEM, s->domain);
    say_why(s, j);
    if (j->found != ISSUE_FOUND_UNKNOWN)
        (void)ctl_fail(CTL_EXIT_DONE, "  publish there: %s. TXT \"%s\"", owner,
                       buf_str(&value));
    r = list ? add_json(list, s, j, owner, buf_str(&value)) : 0;
    return r ? ctl_fail_errno(r, s->domain) : CTL_EXIT_DONE;
}

static int conclude(const struct issue *i, bool unknown, json_t *list)
{
    if (list)
        ctl_print_json(
            json_pack("{s:s, s:s, s:O}", "error",
                      unknown ? "records-unknown" : "records-missing",
                      "account", i->account, "names", list));
    return unknown ? ctl_fail(CTL_EXIT_TRY_AGAIN,
                              "nothing was asked of the CA: try again when "
                              "DNS answers, or name a --resolver")
                   : ctl_fail(CTL_EXIT_NO,
                              "nothing was asked of the CA: publish what is "
                              "missing first");
}

static int judge_all(struct issue *i, bool last, bool *ret_all)
{
    CLEANUP_CTL_JSON json_t *list = i->context->json ? json_array() : NULL;
    struct issue_precheck *p = i->precheck;
    bool missing = false, unknown = false;
    int r = CTL_EXIT_DONE;

    for (size_t n = 0; r == 0 && n < p->n_subjects; n++) {
        struct issue_subject *s = &p->subjects[n];
        struct issue_judged j;

        r = judge(i, s, s->wildcard, &i->issuers, &j);
        s->found = r == 0 && j.found == ISSUE_FOUND;
        if (r || s->found)
            continue;
        missing |= j.found != ISSUE_FOUND_UNKNOWN;
        unknown |= j.found == ISSUE_FOUND_UNKNOWN;
        if (last)
            r = say(i, s, &j, list);
    }
    *ret_all = !missing && !unknown;
    return r || *ret_all || !last ? r : conclude(i, !missing, list);
}

int issue_precheck(struct issue *i)
{
    CLEANUP_DNS_LOOKUP struct dns_lookup *lookup = NULL;
    bool all = false;
    int r;

    r = issue_places_plan(i);
    if (r)
        return r;
    r = dns_lookup_new(i->dns, i->precheck->zones, &lookup);
    if (r)
        return ctl_fail_errno(r, "look-up in DNS");
    r = issue_places_look_up(i, lookup, true);
    if (r == 0)
        r = judge_all(i, !i->identity.prefix, &all);
    if (r || all)
        return r;
    r = issue_places_look_up(i, lookup, false);
    return r ? r : judge_all(i, true, &all);
}

int issue_precheck_again(struct issue *i, const char *name, bool wildcard,
                         const struct issue_issuers *issuers)
{
    const struct issue_subject *s = issue_places_find(i->precheck, name);
    struct issue_judged j = { 0 };
    int r;

    if (!s)
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "the CA wants an authorization for %s, which was not "
                        "ordered",
                        name);
    r = judge(i, s, wildcard, issuers, &j);
    if (r || j.found == ISSUE_FOUND)
        return r;
    return ctl_fail(
        CTL_EXIT_NO,
        "%s%s: the challenge was not answered: the record does not "
        "do for the issuer name %s that it wants: %s: %s",
        wildcard ? "*." : "", name, issuers->names[0] ? issuers->names[0] : "",
        persist_reason_code(j.reason), persist_reason_text(j.reason));
}
