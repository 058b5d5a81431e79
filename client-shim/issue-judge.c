/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/issue-judge.h"

#include <errno.h>
#include <string.h>

/* What one server has at the owner, as persist_judge() wants it. The list of
 * issuers is only made where the question has none. */
struct values {
    struct bytes *items;
    char **issuers;
    size_t n;
};

static void values_deinit(struct values *v)
{
    for (size_t i = 0; v->issuers && i < v->n; i++)
        free(v->issuers[i]);
    free(v->issuers);
    free(v->items);
}

static int values_make(const struct dns_view *view, struct values *ret)
{
    size_t n = view->status == DNS_OK ? view->n_values : 0;

    ret->items = calloc(n + 1, sizeof(*ret->items));
    ret->issuers = calloc(n + 1, sizeof(*ret->issuers));
    if (!ret->items || !ret->issuers)
        return -ENOMEM;
    ret->n = n;
    for (size_t i = 0; i < n; i++) {
        struct bytes issuer;

        ret->items[i] = buf_bytes(&view->values[i].text);
        issuer = persist_issuer(ret->items[i]);
        ret->issuers[i] = issuer.len
                              ? strndup((const char *)issuer.data, issuer.len)
                              : strdup("");
        if (!ret->issuers[i])
            return -ENOMEM;
    }
    return 0;
}

static int judge_view(const struct dns_view *view,
                      const struct persist_question *q,
                      enum persist_verdict *ret_verdict,
                      enum persist_reason *ret_reason)
{
    CLEANUP(values_deinit) struct values v = { 0 };
    struct persist_question own = *q;
    int r;

    r = values_make(view, &v);
    if (r)
        return r;
    if (!own.issuers[0])
        own.issuers = issue_borrow(v.issuers);
    return persist_judge(v.items, v.n, &own, ret_verdict, ret_reason);
}

int issue_judge(const struct dns_result *result,
                const struct persist_question *q, struct issue_judged *ret)
{
    struct issue_judged j = { .found = ISSUE_FOUND_UNKNOWN };
    bool good = false;

    for (size_t i = 0; i < result->n_views; i++) {
        const struct dns_view *view = &result->views[i];
        enum persist_verdict verdict = PERSIST_UNSET;
        enum persist_reason reason = PERSIST_REASON_UNSET;
        int r;

        if (!dns_view_final(view))
            continue;
        if (!dns_status_known(view->status)) {
            if (!j.view)
                j.view = view;
            continue;
        }
        r = judge_view(view, q, &verdict, &reason);
        if (r)
            return r;
        if (verdict == PERSIST_VALID)
            good = true;
        else if (j.verdict == PERSIST_UNSET)
            j = (struct issue_judged){ ISSUE_FOUND_NOT, verdict, reason, view };
    }
    if (good)
        j.found =
            j.verdict == PERSIST_UNSET ? ISSUE_FOUND : ISSUE_FOUND_SOMEWHERE;
    *ret = j;
    return 0;
}

void issue_judged_add(struct issue_judged *all, const struct issue_judged *j)
{
    if (all->found == ISSUE_FOUND_UNSET || j->found == ISSUE_FOUND ||
        (all->found == ISSUE_FOUND_NOT && j->found == ISSUE_FOUND_UNKNOWN))
        *all = *j;
}

void issue_accepted_deinit(struct issue_accepted *a)
{
    for (size_t i = 0; i < ARRAY_LEN(a->values); i++)
        free(a->values[i]);
    *a = (struct issue_accepted){ 0 };
}

static int add_key_bound(const struct issue_identity *id, const char *domain,
                         char **ret, struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf value = { 0 };
    int r;

    r = persist_accounturi(id->prefix, domain, id->thumbprint, id->account_url,
                           &value, ret_refusal);
    if (r == 0)
        *ret = buf_take_str(&value);
    return r;
}

int issue_accepted_make(const struct issue_identity *id, const char *domain,
                        struct issue_accepted *ret, struct refusal *ret_refusal)
{
    struct issue_accepted a = { 0 };
    int r = 0;

    if (id->prefix) {
        r = add_key_bound(id, domain, &a.values[0], ret_refusal);
        if (r == 0)
            r = add_key_bound(id, "*", &a.values[1], ret_refusal);
    } else {
        a.values[0] = strdup(id->account_url);
        r = a.values[0] ? 0 : -ENOMEM;
    }
    if (r)
        issue_accepted_deinit(&a);
    else
        *ret = a;
    return r;
}

const char *issue_parent(const char *domain)
{
    const char *dot = strchr(domain, '.');

    return dot && strchr(dot + 1, '.') ? dot + 1 : NULL;
}
