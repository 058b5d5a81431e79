/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-conversation.h"
#include "client-shim/ctl-print.h"
#include "client-shim/revoke.h"

/*
 * A CA lets an account use an authorization again for as long as it is valid,
 * which can be weeks after the record is gone. There is no list of them: an
 * order shows the one that the CA would use now, so orders are made until one
 * comes back with none that is valid. That last order is left to expire.
 */

#define ROUNDS_MAX 100

struct ending {
    struct revoke *r;
    struct ctl_conversation *v;
    bool wildcard;
    size_t n_ended;
    uint32_t n_urls;
    char (*urls)[ACME_URL_MAX + 1];
};

bool revoke_may_end(const struct net_authz *z, const char *domain,
                    bool wildcard)
{
    if (strcmp(z->status, "valid") != 0 ||
        strcmp(z->identifier_type, "dns") != 0 ||
        strcmp(z->identifier, domain) != 0 || (z->wildcard != 0) != wildcard)
        return false;
    return !z->has_persist || strcmp(z->persist.status, "processing") != 0;
}

static int post(struct ending *e, enum net_kind kind, const char *method,
                json_t *parameters)
{
    int r = parameters
                ? ctl_conversation_try_post(e->v, kind, method, parameters)
                : ctl_fail_errno(-ENOMEM, method);

    json_decref(parameters);
    return r;
}

/* False: it was said. */
static bool is_good(struct ending *e)
{
    CLEANUP_BUF struct buf words = { 0 };
    enum ctl_exit code;

    if (net_answer_good(e->v->ca.answer))
        return true;
    if (ctl_ca_words(e->v->ca.answer, &code, &words))
        buf_clear(&words);
    revoke_step(e->r, "authorizations", REVOKE_LATER, "account %s: %s: %s",
                e->v->account, e->v->ca.url, buf_str(&words));
    return false;
}

/* A name that the CA takes no order for has nothing that could be used. */
static bool takes_no_order(const struct net_answer *a)
{
    static const char *const names[] = { "rejectedIdentifier",
                                         "unsupportedIdentifier", "caa" };
    const char *name = ctl_ca_problem_name(&a->problem);

    for (size_t i = 0; a->result == NET_RESULT_OK && i < ARRAY_LEN(names);
         i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static int keep_urls(struct ending *e)
{
    const struct net_order *order = &e->v->ca.answer->order;

    free(e->urls);
    e->n_urls = 0;
    e->urls = calloc(order->n_authorizations, sizeof(*e->urls));
    if (!e->urls)
        return ctl_fail_errno(-ENOMEM, "order");
    (void)memcpy(e->urls, order->authorization,
                 order->n_authorizations * sizeof(*e->urls));
    e->n_urls = order->n_authorizations;
    return CTL_EXIT_DONE;
}

static json_t *of_url(const struct ending *e, const char *url)
{
    return json_pack("{s:s, s:s}", "name", e->v->account, "url", url);
}

static int end_one(struct ending *e, const char *url, bool *ret_ended,
                   bool *ret_good)
{
    const struct net_authz *z = &e->v->ca.answer->authz;
    int r;

    r = post(e, NET_KIND_AUTHZ, "AccountSignFetch", of_url(e, url));
    if (r)
        return r;
    *ret_good = is_good(e);
    if (!*ret_good || !revoke_may_end(z, e->r->domain, e->wildcard))
        return CTL_EXIT_DONE;
    r = post(e, NET_KIND_AUTHZ, "AccountSignAuthorizationDeactivation",
             of_url(e, url));
    if (r)
        return r;
    *ret_good = is_good(e);
    if (*ret_good && strcmp(z->status, "deactivated") != 0) {
        revoke_step(e->r, "authorizations", REVOKE_LATER,
                    "account %s: the CA calls %s %s", e->v->account, url,
                    z->status);
        *ret_good = false;
    }
    *ret_ended = *ret_good;
    e->n_ended += *ret_good;
    return CTL_EXIT_DONE;
}

/* One order. *ret_more: it had some that were valid, so another one may. */
static int round_once(struct ending *e, bool *ret_more, bool *ret_good)
{
    int r;

    *ret_more = false;
    r = post(e, NET_KIND_ORDER, "AccountSignOrder",
             json_pack("{s:s, s:s, s:b}", "name", e->v->account, "domain",
                       e->r->domain, "wildcard", (int)e->wildcard));
    if (r)
        return r;
    if (takes_no_order(e->v->ca.answer))
        return CTL_EXIT_DONE;
    *ret_good = is_good(e);
    if (!*ret_good)
        return CTL_EXIT_DONE;
    r = keep_urls(e);
    for (uint32_t i = 0; r == 0 && *ret_good && i < e->n_urls; i++)
        r = end_one(e, e->urls[i], ret_more, ret_good);
    return r;
}

/* *ret_good: there is none left. */
static int end_all(struct ending *e, bool *ret_good)
{
    bool more = true;
    int r = CTL_EXIT_DONE;

    *ret_good = true;
    for (int i = 0; r == 0 && *ret_good && more; i++) {
        if (i == ROUNDS_MAX) {
            revoke_step(e->r, "authorizations", REVOKE_LATER,
                        "account %s: the CA has more than %d", e->v->account,
                        ROUNDS_MAX);
            *ret_good = false;
            break;
        }
        r = round_once(e, &more, ret_good);
    }
    return r;
}

static int open_ca(struct ctl_conversation *v, const struct revoke *r,
                   const char *account)
{
    int e = ctl_conversation_open(r->c, account, v);

    if (e == 0 && !ctl_conversation_known(v))
        e = ctl_conversation_directory(v, NULL);
    return e;
}

static int end_of_account(struct revoke *r, const char *account)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    struct ending e = { .r = r, .v = &v };
    bool good = false;
    int x;

    x = open_ca(&v, r, account);
    if (x == 0)
        x = end_all(&e, &good);
    e.wildcard = true;
    if (x == 0 && good)
        x = end_all(&e, &good);
    free(e.urls);
    if (x)
        revoke_step(r, "authorizations", REVOKE_LATER, "account %s: see above",
                    account);
    else if (good)
        revoke_step(r, "authorizations", REVOKE_DONE,
                    "account %s: %zu were ended, and none is left", account,
                    e.n_ended);
    return CTL_EXIT_DONE;
}

int revoke_authorizations(struct revoke *r)
{
    const char *before = "";
    int e = CTL_EXIT_DONE;

    for (size_t i = 0; e == 0 && i < r->records.n; i++) {
        const char *name = r->records.items[i].account;
        const struct ours_account *a = ours_find(&r->ours.all, name);

        if (strcmp(name, before) == 0)
            continue;
        before = name;
        if (!a || !a->status || strcmp(a->status, "valid") != 0)
            revoke_step(r, "authorizations", REVOKE_DONE,
                        "account %s is %s: it cannot use any", name,
                        a && a->status ? a->status : "gone");
        else
            e = end_of_account(r, name);
    }
    if (r->records.n == 0)
        revoke_step(r, "authorizations", REVOKE_DONE,
                    "no account here has a record for it, so no CA was asked");
    return e;
}
