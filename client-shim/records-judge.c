/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-judge.h"

#include <errno.h>

const char *check_state_word(enum check_state s)
{
    static const char *const words[] = { [CHECK_UNSET] = "unset",
                                         [CHECK_OK] = "ok",
                                         [CHECK_FOUND] = "found",
                                         [CHECK_UNKNOWN] = "unknown" };

    return words[s];
}

void check_judged_deinit(struct check_judged *j)
{
    free(j->views);
    *j = (struct check_judged){ 0 };
}

static int judge_values(const struct dns_view *view, const struct kept_value *v,
                        int64_t now_s, struct check_view *ret)
{
    size_t n = view->status == DNS_OK ? view->n_values : 0;
    CLEANUP_FREE struct bytes *values = calloc(n + 1, sizeof(*values));
    const struct persist_question q = {
        .wildcard = v->wildcard,
        .issuers = (const char *const[]){ v->issuer, NULL },
        .accepted = (const char *const[]){ v->accounturi, NULL },
        .now_s = now_s,
    };
    int r;

    if (!values)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        values[i] = buf_bytes(&view->values[i].text);
    r = persist_judge(values, n, &q, &ret->verdict, &ret->reason);
    ret->state = ret->verdict == PERSIST_VALID ? CHECK_OK : CHECK_FOUND;
    return r;
}

static int judge_view(const struct dns_view *view, const struct kept_value *v,
                      int64_t now_s, struct check_view *ret)
{
    *ret = (struct check_view){ .view = view, .state = CHECK_UNKNOWN };
    if (dns_status_known(view->status))
        return judge_values(view, v, now_s, ret);
    if (view->status == DNS_BOGUS)
        ret->state = CHECK_FOUND;
    return 0;
}

static enum check_state worse(enum check_state a, enum check_state b)
{
    if (a == CHECK_FOUND || b == CHECK_FOUND)
        return CHECK_FOUND;
    return a == CHECK_UNKNOWN || b == CHECK_UNKNOWN ? CHECK_UNKNOWN : CHECK_OK;
}

int check_judge(const struct dns_result *result, const struct kept_value *v,
                int64_t now_s, struct check_judged *ret)
{
    struct check_judged j = { .state = CHECK_OK };
    int r = 0;

    j.views = calloc(result->n_views + 1, sizeof(*j.views));
    if (!j.views)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < result->n_views; i++) {
        if (!dns_view_final(&result->views[i]))
            continue;
        r = judge_view(&result->views[i], v, now_s, &j.views[j.n_views]);
        j.state = worse(j.state, j.views[j.n_views++].state);
    }
    if (r) {
        check_judged_deinit(&j);
        return r;
    }
    if (j.n_views == 0)
        j.state = CHECK_UNKNOWN;
    j.disagree = dns_result_agreement(result) == DNS_DISAGREE;
    if (j.disagree)
        j.state = CHECK_FOUND;
    *ret = j;
    return 0;
}

static const char *advice_for(enum persist_reason reason)
{
    static const char *const words[PERSIST_REASON_COUNT] = {
        [PERSIST_REASON_NO_RECORD] = "guardianctl records publish",
        [PERSIST_REASON_OTHER_ISSUER] = "guardianctl records publish",
        [PERSIST_REASON_OTHER_ACCOUNT] =
            "guardianctl records publish, and records audit for whose the "
            "other one is",
        [PERSIST_REASON_NO_WILDCARD_POLICY] = "guardianctl records publish",
        [PERSIST_REASON_EXPIRED] =
            "guardianctl records add with a later --persist-until, then "
            "records publish",
    };

    return words[reason] ? words[reason]
                         : "correct or remove the malformed record at the "
                           "zone, then guardianctl records publish";
}

static const char *advice_view(const struct check_view *v)
{
    if (v->view->status == DNS_BOGUS)
        return "repair the zone's DNSSEC: a CA gets no answer either";
    if (v->reason != PERSIST_REASON_UNSET)
        return advice_for(v->reason);
    return v->state == CHECK_UNKNOWN
               ? "see to the server, or name those to ask with Servers= of "
                 "the zone's file"
               : NULL;
}

const char *check_advice(const struct check_judged *j)
{
    const char *words = NULL;
    bool any_ok = false;

    for (size_t i = 0; i < j->n_views; i++) {
        any_ok = any_ok || j->views[i].state == CHECK_OK;
        if (!words && j->views[i].state == j->state)
            words = advice_view(&j->views[i]);
    }
    /* To publish it again would change nothing. */
    if (j->disagree && any_ok)
        return "the servers have different records: see to the transfer "
               "between them";
    return words;
}
