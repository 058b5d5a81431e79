/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Policy files, and decisions by what was loaded. */
#include <string.h>

#include "fuzz.h"
#include "policy/policy.h"

static int no_uid(const char *name, uid_t *ret, void *userdata)
{
    (void)userdata;
    *ret = 1000;
    return strcmp(name, "caddy");
}

static int no_gid(const char *name, gid_t *ret, void *userdata)
{
    (void)userdata;
    *ret = 1000;
    return strcmp(name, "caddy");
}

static const struct policy_names names = { no_uid, no_gid, NULL };

static int count(const char *file, unsigned line, const char *warning,
                 void *userdata)
{
    unsigned *n = userdata;

    MUST(file && line > 0 && warning[0]);
    (*n)++;
    return 0;
}

static int explained(const struct policy_ruleset *rule, bool matched,
                     const char *condition, const char *why, void *userdata)
{
    bool *any = userdata;

    MUST(rule && condition && matched == !why);
    *any |= matched;
    return 0;
}

/* What is not allowed has a reason; who explains it says the same. */
static void ask(const struct policy_set *set, const char *name, bool address)
{
    static char account_name[] = "letsencrypt";
    const struct acme_account account = { .name = account_name };
    struct acme_request order = { .op = ACME_OP_ORDER };
    gid_t gid = 1000;
    const struct policy_caller caller = { .uid = 1000,
                                          .gids = &gid,
                                          .n_gids = 1,
                                          .unit = "caddy.service",
                                          .unit_certain = true,
                                          .now = 1790000000 };
    struct policy_verdict v = { 0 };
    bool any = false;

    MUST(identifiers_add(&order.identifiers,
                         address ? IDENTIFIER_IP : IDENTIFIER_DNS,
                         bytes_from_str(name), NULL) == 0);
    MUST(policy_eval(set, &caller, &names, &account, &order, NULL, NULL, &v) ==
         0);
    MUST(v.allowed == (v.reason == REASON_UNSET));
    MUST(!v.allowed ||
         (v.rule && policy_may_use(set, &caller, &names, account_name)));
    MUST(!v.allowed ||
         !policy_denies_any(set, &order.identifiers, &(const char *){ NULL }));
    MUST(policy_explain(set, &caller, &names, &account, &order, explained,
                        &any) == 0);
    MUST(any || !v.allowed);
    identifiers_deinit(&order.identifiers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char denied[] = "denied.example.com";
    char *const deny[] = { denied, NULL };
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct errmsg e = { 0 };
    unsigned n = 0;
    int r = policy_load_text((struct bytes){ data, size }, "fuzz.policy", deny,
                             &set, &e);

    MUST(r == 0 || r == POLICY_E_INVALID);
    MUST((r == 0) == (e.text[0] == '\0'));
    if (r)
        return 0;
    MUST(policy_lint(set, count, &n) == 0);
    ask(set, "www.example.com", false);
    ask(set, "*.apps.example.com", false);
    ask(set, "a.denied.example.com", false);
    ask(set, "192.0.2.1", true);
    return 0;
}
