/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Default deny: a verdict starts as "no rule", and only a rule set of this
 * account that matches the caller and allows the whole request changes it.
 */
#include <stdio.h>
#include <string.h>

#include "policy/policy-judge.h"

static bool is_client(const struct policy_ruleset *rs,
                      const struct policy_caller *caller,
                      const struct policy_names *names)
{
    const char *key;

    return policy_match_client(rs, caller, names, &key, NULL) == 0;
}

int policy_eval(const struct policy_set *set,
                const struct policy_caller *caller,
                const struct policy_names *names,
                const struct acme_account *account,
                const struct acme_request *request, policy_quota_fn quota,
                void *quota_userdata, struct policy_verdict *ret)
{
    const struct policy_question q = { .set = set,
                                       .request = request,
                                       .now = caller->now,
                                       .quota = quota,
                                       .quota_userdata = quota_userdata };
    struct policy_verdict best = { .reason = REASON_NO_RULE };
    unsigned furthest = 0;

    for (const struct policy_link *l = policy_set_first(set, account->name); l;
         l = policy_link_next(set, l)) {
        const struct policy_ruleset *rs = set->rulesets[l->ruleset];
        struct policy_refusal refusal;
        int r;

        if (!is_client(rs, caller, names))
            continue;
        r = policy_match_request(rs, &q, &refusal);
        if (r == 0) {
            *ret = (struct policy_verdict){ .allowed = true, .rule = rs };
            return 0;
        }
        if (r != REFUSED)
            return r;
        if (refusal.progress > furthest) {
            furthest = refusal.progress;
            best.reason = refusal.refusal.reason;
            best.identifier = refusal.identifier;
            best.rule = rs;
        }
    }
    *ret = best;
    return 0;
}

bool policy_may_use(const struct policy_set *set,
                    const struct policy_caller *caller,
                    const struct policy_names *names, const char *account)
{
    for (const struct policy_link *l = policy_set_first(set, account); l;
         l = policy_link_next(set, l)) {
        if (is_client(set->rulesets[l->ruleset], caller, names))
            return true;
    }
    return false;
}

bool policy_knows(const struct policy_set *set,
                  const struct policy_caller *caller,
                  const struct policy_names *names)
{
    for (size_t i = 0; i < set->n_rulesets; i++) {
        if (is_client(set->rulesets[i], caller, names))
            return true;
    }
    return false;
}

/* "User=caddy www": the condition as it stands in the file, cut to length. */
struct condition {
    char text[256];
    size_t len;
};

static void condition_add(struct condition *c, const char *s)
{
    size_t room = sizeof(c->text) - c->len;
    int n = snprintf(c->text + c->len, room, "%s", s);

    if (n > 0)
        c->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void condition_words(struct condition *c,
                            const struct policy_words *words)
{
    for (size_t i = 0; i < words->n; i++) {
        condition_add(c, i ? " " : "");
        condition_add(c, words->items[i]);
    }
}

static void condition_ids(struct condition *c, const struct policy_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++) {
        condition_add(c, i ? " " : "");
        condition_add(c, ids->items[i].text);
    }
}

static void condition_of(struct condition *c, const struct policy_ruleset *rs,
                         const char *key)
{
    condition_add(c, key);
    condition_add(c, "=");
    if (strcmp(key, "Account") == 0)
        condition_words(c, &rs->accounts);
    else if (strcmp(key, "Socket") == 0)
        condition_words(c, &rs->sockets);
    else if (strcmp(key, "Unit") == 0)
        condition_words(c, &rs->units);
    else if (strcmp(key, "User") == 0)
        condition_ids(c, &rs->users);
    else if (strcmp(key, "Group") == 0)
        condition_ids(c, &rs->groups);
}

static int match(const struct policy_ruleset *rs,
                 const struct policy_caller *caller,
                 const struct policy_names *names,
                 const struct acme_account *account,
                 const struct policy_question *q, struct policy_refusal *ret)
{
    int r;

    if (!policy_words_has(&rs->accounts, account->name)) {
        ret->key = "Account";
        return refuse(&ret->refusal, REASON_NO_RULE, "the account is %s",
                      account->name);
    }
    r = policy_match_client(rs, caller, names, &ret->key, &ret->refusal);
    return r ? r : policy_match_request(rs, q, ret);
}

int policy_explain(const struct policy_set *set,
                   const struct policy_caller *caller,
                   const struct policy_names *names,
                   const struct acme_account *account,
                   const struct acme_request *request, policy_explain_fn fn,
                   void *userdata)
{
    const struct policy_question q = { .set = set,
                                       .request = request,
                                       .now = caller->now };
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->n_rulesets; i++) {
        const struct policy_ruleset *rs = set->rulesets[i];
        struct policy_refusal refusal = { 0 };
        struct condition condition = { 0 };

        r = match(rs, caller, names, account, &q, &refusal);
        if (r == 0) {
            r = fn(rs, true, "matched", NULL, userdata);
            continue;
        }
        if (r != REFUSED)
            return r;
        condition_of(&condition, rs, refusal.key);
        r = fn(rs, false, condition.text, refusal.refusal.detail, userdata);
    }
    return r;
}
