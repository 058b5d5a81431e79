/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-account.h"

#include <stdio.h>
#include <string.h>

#include "acme/known-cas.h"
#include "client-shim/ctl-print.h"

/* What is shown of an account: what we know, what its CA says, and whether it
 * was proven to be ours. */

static const char *yes(bool b)
{
    return b ? "yes" : NULL;
}

static void key_pairs(struct ctl_table *t, const json_t *a)
{
    char generation[32];

    (void)snprintf(generation, sizeof(generation), "%lld",
                   ctl_integer(a, "generation"));
    ctl_table_pair(t, "algorithm", ctl_string(a, "alg"));
    ctl_table_pair(t, "thumbprint", ctl_string(a, "thumbprint"));
    ctl_table_pair(t, "token", ctl_string(a, "token"));
    ctl_table_pair(t, "key", ctl_string(a, "keyLabel"));
    ctl_table_pair(t, "generation", generation);
    ctl_table_pair(t, "key in",
                   ctl_true(a, "software") ? "encrypted software, not an HSM"
                                           : NULL);
    ctl_table_pair_list(t, "key proven", json_object_get(a, "attributes"));
    ctl_table_pair_list(t, "key unproven", json_object_get(a, "unproven"));
}

static const struct known_ca *known_ca(const json_t *a)
{
    const char *directory = ctl_string(a, "directory");

    return directory ? known_ca_of_directory(directory) : NULL;
}

/* What clients are told of their accounts has no such member. */
static bool is_staging(const json_t *a)
{
    const struct known_ca *ca = known_ca(a);

    return ctl_true(a, "staging") || (ca && ca->staging);
}

/* Of the table of known CAs; another directory has no name. */
static void ca_pair(struct ctl_table *t, const json_t *a)
{
    const struct known_ca *ca = known_ca(a);

    ctl_table_pair(t, "CA", ca ? ca->title : NULL);
    ctl_table_pair(t, "STAGING",
                   is_staging(a) ? "yes: nobody trusts certificates of this CA"
                                 : NULL);
    ctl_table_pair(t, "directory", ctl_string(a, "directory"));
}

static void account_pairs(struct ctl_table *t, const json_t *a)
{
    const char *text = ctl_string(a, "statusText");

    ctl_table_pair(t, "account", ctl_string(a, "name"));
    ctl_table_pair(t, "status", ctl_string(a, "status"));
    ctl_table_pair(t, "status text", text && *text ? text : NULL);
    ctl_table_pair(t, "suspended", yes(ctl_true(a, "suspended")));
    ca_pair(t, a);
    ctl_table_pair(t, "url", ctl_string(a, "url"));
    key_pairs(t, a);
    ctl_table_pair(t, "created", ctl_string(a, "created"));
    ctl_table_pair(t, "registered", ctl_string(a, "registered"));
    ctl_table_pair_list(t, "contacts", json_object_get(a, "contacts"));
    ctl_table_pair(t, "external account", ctl_string(a, "externalAccount"));
    ctl_table_pair_list(t, "origins", json_object_get(a, "origins"));
    ctl_table_pair_list(t, "challenge members",
                        json_object_get(a, "challengeMembers"));
    ctl_table_pair(t, "allow query", yes(ctl_true(a, "allowQuery")));
    ctl_table_pair(t, "allow http", yes(ctl_true(a, "allowHttpLoopback")));
}

/* "90d", as Rotate= has it. */
static void time_pair(struct ctl_table *t, const char *name,
                      const json_t *schedule, const char *member)
{
    static const struct {
        long long s;
        const char *unit;
    } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    long long s = ctl_integer(schedule, member);
    char text[32];
    size_t i = 0;

    if (!json_is_integer(json_object_get(schedule, member)))
        return;
    while (s % units[i].s || (s == 0 && i + 1 < ARRAY_LEN(units)))
        i++;
    (void)snprintf(text, sizeof(text), "%lld%s", s / units[i].s, units[i].unit);
    ctl_table_pair(t, name, text);
}

static void schedule_pairs(struct ctl_table *t, const json_t *a)
{
    const json_t *s = json_object_get(a, "schedule");

    ctl_table_pair(t, "key since", ctl_string(a, "keySince"));
    time_pair(t, "rotated every", s, "rotate");
    ctl_table_pair(t, "in the window", ctl_string(s, "window"));
    ctl_table_pair(t, "rotation due", ctl_string(s, "due"));
    time_pair(t, "order drain", s, "orderDrain");
    time_pair(t, "settle", s, "settle");
    time_pair(t, "cache time", s, "cacheTime");
    time_pair(t, "grace", s, "grace");
    ctl_table_pair(t, "old keys",
                   ctl_true(s, "keepOldKey") ? "stay on the token" : NULL);
}

static void proof_pairs(struct ctl_table *t, const json_t *a)
{
    const json_t *proof = json_object_get(a, "proof");
    const json_t *not = json_object_get(a, "notProven");
    CLEANUP_BUF struct buf words = { 0 };
    int r = 0;

    if (proof && !json_is_null(proof))
        r = buf_printf(&words, "%s%s", ctl_string(proof, "time"),
                       ctl_true(proof, "current")
                           ? ""
                           : ", not current any more (account prove)");
    else if (not &&!json_is_null(not ))
        r = buf_printf(&words, "no: %s: %s (%s)", ctl_string(not, "reason"),
                       ctl_string(not, "text"), ctl_string(not, "time"));
    if (r)
        t->failed = true;
    ctl_table_pair(t, "proven ours", words.len ? buf_str(&words) : NULL);
}

static void meta_pairs(struct ctl_table *t, const json_t *a)
{
    const json_t *meta = json_object_get(a, "meta");
    const char *prefix = ctl_string(meta, "accountHashPrefix");
    CLEANUP_BUF struct buf form = { 0 };

    if (!meta || json_is_null(meta))
        return;
    ctl_table_pair(t, "terms of service", ctl_string(meta, "termsOfService"));
    ctl_table_pair(t, "CA wants",
                   ctl_true(meta, "externalAccountRequired")
                       ? "an external account binding"
                       : NULL);
    ctl_table_pair_list(t, "profiles", json_object_get(meta, "profiles"));
    ctl_table_pair_list(t, "CA's issuer names",
                        json_object_get(meta, "issuerDomainNames"));
    ctl_table_pair_list(t, "CAA identities",
                        json_object_get(meta, "caaIdentities"));
    if (prefix ? buf_printf(&form, "bound to the key, by %s", prefix)
               : buf_append_str(&form, "by account URL"))
        t->failed = true;
    ctl_table_pair(t, "records", buf_str(&form));
}

static void endpoint_pairs(struct ctl_table *t, const json_t *e)
{
    static const char *const names[] = { "newNonce",   "newAccount",
                                         "newOrder",   "newAuthz",
                                         "revokeCert", "keyChange",
                                         "renewalInfo" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ctl_table_pair(t, names[i], ctl_string(e, names[i]));
}

int ctl_account_print(const struct ctl_context *c, json_t *answer)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };
    const json_t *a = json_object_get(answer, "account");

    if (c->json) {
        ctl_print_json(json_incref(answer));
        return CTL_EXIT_DONE;
    }
    account_pairs(&t, a);
    ctl_table_pair_list(&t, "issuer names", json_object_get(a, "issuers"));
    proof_pairs(&t, a);
    schedule_pairs(&t, a);
    meta_pairs(&t, a);
    endpoint_pairs(&t, json_object_get(answer, "endpoints"));
    return ctl_table_print(&t);
}

static void list_row(struct ctl_table *t, const json_t *a)
{
    CLEANUP_BUF struct buf status = { 0 };
    const char *s = ctl_string(a, "status");

    if (buf_printf(&status, "%s%s", is_staging(a) ? "STAGING " : "",
                   ctl_true(a, "suspended") ? "suspended"
                   : s                      ? s
                                            : "-"))
        t->failed = true;
    CTL_TABLE_ROW(t, ctl_string(a, "name"), buf_str(&status),
                  ctl_string(a, "alg"), ctl_string(a, "token"),
                  ctl_string(a, "thumbprint"), ctl_string(a, "url"),
                  ctl_string(a, "directory"));
}

int ctl_account_print_list(const json_t *accounts)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 7 };

    if (json_array_size(accounts) == 0) {
        (void)puts("no accounts");
        return CTL_EXIT_DONE;
    }
    CTL_TABLE_ROW(&t, "NAME", "STATUS", "ALG", "TOKEN", "THUMBPRINT", "URL",
                  "DIRECTORY");
    for (size_t i = 0; i < json_array_size(accounts); i++)
        list_row(&t, json_array_get(accounts, i));
    return ctl_table_print(&t);
}
