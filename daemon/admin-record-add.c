/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/domain.h"
#include "acme/persist.h"
#include "daemon/admin-rotation.h"
#include "daemon/params.h"
#include "daemon/record-rules.h"
#include "daemon/registry.h"

/* RecordAdd and RecordRemove. */

#define RECORDS_MAX 200

/* One of the call's records; its strings are borrowed from the parameters. */
struct wish {
    const char *account, *domain, *issuer;
    bool wildcard, reusable;
    int64_t until_s;
};

static void error_at(struct varlink_call *call, size_t i, const char *member,
                     const char *text)
{
    char parameter[64];

    (void)snprintf(parameter, sizeof(parameter), "records[%zu].%s", i, member);
    admin_error_value(call, parameter, text);
}

/* False: it was answered. */
static bool read_wish(struct varlink_call *call, const json_t *object, size_t i,
                      struct wish *w)
{
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &w->account } },
        { "domain", PARAM_STRING, false, { .string = &w->domain } },
        { "issuer", PARAM_STRING, false, { .string = &w->issuer } },
        { "wildcard", PARAM_BOOL, true, { .flag = &w->wildcard } },
        { "reusable", PARAM_BOOL, true, { .flag = &w->reusable } },
        { "persistUntil", PARAM_NUMBER, true, { .number = &w->until_s } },
    };
    const char *bad = NULL;
    char name[96];

    *w = (struct wish){
        .account = "", .domain = "", .issuer = "", .until_s = -1
    };
    if (params_read(object, params, ARRAY_LEN(params), &bad) == 0)
        return true;
    (void)snprintf(name, sizeof(name), "records[%zu].%s", i, bad);
    varlink_error_invalid_parameter(call, name);
    return false;
}

/* The normal form is the caller's to make: what is stored is what he has seen.
 */
static bool check_domain(struct varlink_call *call, size_t i,
                         const char *domain)
{
    char text[REFUSAL_DETAIL_MAX + 64];
    char normal[DNS_NAME_MAX + 1];
    struct refusal refusal = { 0 };
    int r = domain_normalize(bytes_from_str(domain), normal, &refusal);

    if (r < 0) {
        admin_error_busy(call);
        return false;
    }
    if (r == REFUSED)
        (void)snprintf(text, sizeof(text), "%s: %s",
                       reason_code(refusal.reason), refusal.detail);
    else if (strcmp(normal, domain) != 0)
        (void)snprintf(text, sizeof(text), "is %s in normal form", normal);
    else if (strlen(PERSIST_LABEL ".") + strlen(domain) > DNS_NAME_MAX)
        (void)snprintf(text, sizeof(text), "%s",
                       "is too long to have a " PERSIST_LABEL " below it");
    else
        return true;
    error_at(call, i, "domain", text);
    return false;
}

static bool check_denied(const struct guardian *g, struct varlink_call *call,
                         size_t i, const char *domain)
{
    struct errmsg e = { 0 };

    if (!denied_say(&g->denied, g->policy, domain, &e))
        return true;
    error_at(call, i, "domain", e.text);
    return false;
}

static bool check_issuer(struct varlink_call *call, size_t i,
                         const struct store_account *row, const struct wish *w)
{
    struct record_refusal refusal;
    char text[sizeof(refusal.text) + 400];

    if (record_issuer_check(row, w->issuer, &refusal) == 0)
        return true;
    (void)snprintf(text, sizeof(text), "%s: %s", refusal.code, refusal.text);
    if (strcmp(refusal.code, "issuer-origin-mismatch") == 0) {
        (void)snprintf(text, sizeof(text), "records[%zu] (%.260s): %s: %s", i,
                       w->domain, refusal.code, refusal.text);
        admin_error(call, "IssuerMismatch",
                    json_pack("{s:s,s:s}", "issuer", w->issuer, "text", text));
    } else {
        error_at(call, i, "issuer", text);
    }
    return false;
}

static bool check_facts(struct varlink_call *call, size_t i,
                        const struct account *a, const struct wish *w,
                        int64_t now_s)
{
    if (a->row.status == ACCOUNT_DEACTIVATED ||
        a->row.status == ACCOUNT_REVOKED)
        error_at(call, i, "account", "is dead at the CA: no record helps it");
    else if (w->reusable && !a->row.meta.account_hash_prefix)
        error_at(call, i, "reusable",
                 "is for key-bound records, and the CA's directory has no "
                 "accountHashPrefix");
    else if (w->until_s >= 0 && w->until_s <= now_s)
        error_at(call, i, "persistUntil", "is in the past");
    else if (w->until_s > PERSIST_UNTIL_MAX)
        error_at(call, i, "persistUntil", "is after the year 9999");
    else
        return true;
    return false;
}

/* False: it was answered. */
static bool take_wish(const struct guardian *g, struct varlink_call *call,
                      const json_t *object, size_t i, int64_t now_s,
                      struct store_record *ret)
{
    struct wish w;
    const struct account *a;

    if (!read_wish(call, object, i, &w))
        return false;
    a = accounts_find(&g->accounts, w.account);
    if (!a) {
        admin_error_no_account(call, w.account);
        return false;
    }
    if (!check_domain(call, i, w.domain) ||
        !check_denied(g, call, i, w.domain) ||
        !check_issuer(call, i, &a->row, &w) ||
        !check_facts(call, i, a, &w, now_s))
        return false;
    *ret = (struct store_record){ .account = params_borrow(w.account),
                                  .domain = params_borrow(w.domain),
                                  .issuer = params_borrow(w.issuer),
                                  .wildcard = w.wildcard,
                                  .reusable = w.reusable,
                                  .until_s = w.until_s > 0 ? w.until_s : 0,
                                  .added_s = now_s };
    return true;
}

static bool same_facts(const struct store_record *a,
                       const struct store_record *b)
{
    return strcmp(a->account, b->account) == 0 &&
           strcmp(a->issuer, b->issuer) == 0 && a->wildcard == b->wildcard &&
           a->reusable == b->reusable && a->until_s == b->until_s;
}

/* One line for records that differ in their domains only. */
static bool audit_some(struct guardian *g, struct varlink_call *call,
                       const struct store_record *x, size_t n)
{
    struct identifier items[IDENTIFIERS_MAX];
    const struct identifiers ids = { items, n };
    char detail[512], until[48] = "";

    for (size_t i = 0; i < n; i++)
        items[i] =
            (struct identifier){ .type = IDENTIFIER_DNS, .value = x[i].domain };
    if (x->until_s > 0)
        (void)snprintf(until, sizeof(until), ", persistUntil=%lld",
                       (long long)x->until_s);
    (void)snprintf(detail, sizeof(detail), "%s%s%s%s", x->issuer,
                   x->wildcard ? ", policy=wildcard" : "",
                   x->reusable ? ", reusable" : "", until);
    return admin_begin(g, call,
                       &(struct admin_subject){ .account = x->account,
                                                .identifiers = &ids,
                                                .detail = detail });
}

static bool audit_all(struct guardian *g, struct varlink_call *call,
                      const struct store_record *x, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t same = 1;

        while (i + same < n && same < IDENTIFIERS_MAX &&
               same_facts(&x[i], &x[i + same]))
            same++;
        if (!audit_some(g, call, x + i, same))
            return false;
        i += same;
    }
    return true;
}

/* A rotation under way must know of what is added, before it is there. False:
 * it was answered. */
static bool tell_rotations(struct guardian *g, struct varlink_call *call,
                           const struct store_record *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct account *a = accounts_find(&g->accounts, x[i].account);
        bool same = false;
        int r = store_record_same(g->store, &x[i], &same);

        if (r == 0 && !same)
            r = rotate_records_change(g, a, true, varlink_call_peer(call));
        if (r) {
            admin_error_records(call, a, r);
            return false;
        }
    }
    return true;
}

static void record_add(struct guardian *g, struct varlink_call *call,
                       const struct store_record *x, size_t n)
{
    struct store_record_counts counts = { 0 };
    int r;

    if (!audit_all(g, call, x, n) || !tell_rotations(g, call, x, n))
        return;
    r = registry_note(g, store_records_add(g->store, x, n, &counts));
    if (r)
        registry_error(call, r);
    else
        varlink_reply_json(
            call, json_pack("{s:I,s:I,s:I}", "added", (json_int_t)counts.added,
                            "changed", (json_int_t)counts.changed, "unchanged",
                            (json_int_t)counts.unchanged));
}

ADMIN_METHOD(admin_on_record_add)
{
    CLEANUP_FREE struct store_record *x = NULL;
    struct guardian *g = userdata;
    const json_t *records = NULL;
    const struct param params[] = {
        { "records", PARAM_OBJECTS, false, { .json = &records } },
    };
    int64_t now_s = time(NULL);
    size_t n;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    n = json_array_size(records);
    if (n == 0 || n > RECORDS_MAX) {
        admin_error_value(call, "records", "are 1 to 200");
        return;
    }
    x = calloc(n, sizeof(*x));
    if (!x) {
        admin_error_busy(call);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!take_wish(g, call, json_array_get(records, i), i, now_s, &x[i]))
            return;
    }
    record_add(g, call, x, n);
}

ADMIN_METHOD(admin_on_record_remove)
{
    struct guardian *g = userdata;
    const char *account = "";
    const char *domain = "";
    const char *issuer = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &account } },
        { "domain", PARAM_STRING, false, { .string = &domain } },
        { "issuer", PARAM_STRING, true, { .string = &issuer } },
    };
    struct identifier id = { .type = IDENTIFIER_DNS };
    const struct identifiers ids = { &id, 1 };
    struct account *a;
    size_t removed = 0;
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, account);
    if (!a)
        return;
    id.value = params_borrow(domain); /* only read */
    if (!admin_begin(g, call,
                     &(struct admin_subject){ .account = account,
                                              .identifiers = &ids,
                                              .detail = issuer }))
        return;
    r = rotate_records_change(g, a, false, varlink_call_peer(call));
    if (r == 0)
        r = registry_note(g, store_record_remove(g->store, account, domain,
                                                 issuer, &removed));
    if (r)
        registry_error(call, r);
    else
        varlink_reply_json(call,
                           json_pack("{s:I}", "removed", (json_int_t)removed));
}
