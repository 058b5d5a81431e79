/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-audit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "acme/persist.h"
#include "client-shim/records-until.h"

static const struct {
    const char *severity, *code, *words, *advice;
} table[AUDIT_COUNT] = {
    [AUDIT_UNSET] = { "unknown", "unset", "nothing", "nothing" },
#define X(name, severity, code, words, advice)                                 \
    [AUDIT_##name] = { severity, code, words, advice },
    AUDIT_TABLE(X)
#undef X
};

const char *audit_severity(enum audit_code code)
{
    return table[code].severity;
}

const char *audit_word(enum audit_code code)
{
    return table[code].code;
}

const char *audit_words(enum audit_code code)
{
    return table[code].words;
}

const char *audit_advice(enum audit_code code)
{
    return table[code].advice;
}

/* Findings about one name, and about one value of it. */
struct auditing {
    const struct audit_question *q;
    audit_fn fn;
    void *userdata;
    struct bytes value;
    const struct ours_account *account; /* it names; NULL: none of ours */
    enum ours_kind kind;
};

static int tell(const struct auditing *a, enum audit_code code,
                const char *detail)
{
    const struct audit_finding f = { .code = code,
                                     .name = a->q->domain,
                                     .value = a->value,
                                     .account =
                                         a->account ? a->account->name : NULL,
                                     .detail = detail };

    return a->fn(&f, a->userdata);
}

static bool same_issuer(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

static bool is_our_issuer(const struct audit_question *q, struct bytes issuer)
{
    for (const char *const *p = q->issuers; *p; p++) {
        if (issuer.len == strlen(*p) &&
            strncasecmp((const char *)issuer.data, *p, issuer.len) == 0)
            return true;
    }
    return false;
}

static const struct kept_value *record_of(const struct auditing *a,
                                          const char *issuer)
{
    for (size_t i = 0; i < a->q->n_records; i++) {
        const struct kept_value *r = &a->q->records[i];

        if (strcmp(r->account, a->account->name) == 0 &&
            same_issuer(r->issuer, issuer))
            return r;
    }
    return NULL;
}

/* ---- one value ---- */

static int judge_until(const struct auditing *a, const struct persist_parsed *p)
{
    char text[RECORDS_TIME_MAX] = "in year 10000 or later";

    if (!p->has_until || p->until_s >= a->q->expiring_s)
        return 0;
    if (p->until_s <= PERSIST_UNTIL_MAX)
        records_time_format(p->until_s, text);
    return tell(a, a->q->now_s > p->until_s ? AUDIT_EXPIRED : AUDIT_EXPIRING,
                text);
}

static int judge_width(const struct auditing *a, const struct persist_parsed *p,
                       const struct kept_value *record)
{
    int r = 0;

    if (p->wildcard && !record->wildcard)
        r = tell(a, AUDIT_WILDCARD_WIDER, NULL);
    if (r == 0 && a->kind == OURS_REUSABLE && !record->reusable)
        r = tell(a, AUDIT_REUSABLE_WIDER, NULL);
    return r;
}

static int judge_ours(const struct auditing *a, const struct persist_parsed *p)
{
    const struct kept_value *record = record_of(a, p->issuer);
    const char *status = a->account->status;
    int r = 0;

    if (!status || strcmp(status, "valid") != 0)
        return tell(a, AUDIT_DEAD_ACCOUNT, status);
    if (a->kind == OURS_EARLIER)
        return tell(a, AUDIT_RETIRED_KEY, NULL);
    if (a->kind == OURS_OTHER_FORM)
        return tell(a, AUDIT_OTHER_FORM, NULL);
    r = record ? judge_width(a, p, record)
               : tell(a, AUDIT_NO_RECORD_HERE, NULL);
    return r ? r : judge_until(a, p);
}

static int judge_foreign(const struct auditing *a,
                         const struct persist_parsed *p)
{
    struct bytes issuer = bytes_from_str(p->issuer);

    if (p->has_until && a->q->now_s > p->until_s)
        return judge_until(a, p);
    if (ours_prefix_of(a->q->ours, p->accounturi))
        return tell(a, AUDIT_UNKNOWN_HASH, NULL);
    return tell(a,
                is_our_issuer(a->q, issuer) ? AUDIT_FOREIGN_ACCOUNT
                                            : AUDIT_OTHER_ISSUER,
                NULL);
}

static int judge_value(struct auditing *a, struct bytes value)
{
    CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
    enum persist_reason reason = PERSIST_REASON_UNSET;
    int r;

    a->value = value;
    a->account = NULL;
    r = persist_parse(value, &p, &reason);
    if (r < 0)
        return r;
    if (r)
        return tell(a, AUDIT_MALFORMED, persist_reason_text(reason));
    r = ours_judge(a->q->ours, a->q->domain, p.accounturi, &a->kind,
                   &a->account);
    if (r)
        return r;
    return a->account ? judge_ours(a, &p) : judge_foreign(a, &p);
}

/* ---- all that servers say ---- */

static bool view_has(const struct dns_view *v, size_t n, struct bytes value)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes_eq(buf_bytes(&v->values[i].text), value))
            return true;
    }
    return false;
}

/* The servers before have said it already. */
static bool seen_before(const struct dns_result *r, size_t view, size_t value)
{
    struct bytes text = buf_bytes(&r->views[view].values[value].text);

    for (size_t i = 0; i < view; i++) {
        if (dns_view_tells(&r->views[i]) &&
            view_has(&r->views[i], r->views[i].n_values, text))
            return true;
    }
    return view_has(&r->views[view], value, text);
}

typedef int (*value_fn)(struct auditing *a, struct bytes value);

static int each_value(struct auditing *a, const struct dns_result *result,
                      value_fn fn)
{
    int r = 0;

    for (size_t i = 0; i < result->n_views; i++) {
        const struct dns_view *v = &result->views[i];

        for (size_t j = 0; r == 0 && dns_view_tells(v) && j < v->n_values;
             j++) {
            if (!seen_before(result, i, j))
                r = fn(a, buf_bytes(&v->values[j].text));
        }
    }
    return r;
}

static int judge_old(struct auditing *a, struct bytes value)
{
    a->value = value;
    a->account = NULL;
    return tell(a, AUDIT_OLD_LABEL, NULL);
}

/* ---- records here ---- */

struct seeking {
    struct auditing *auditing;
    const struct kept_value *record;
    bool found;
};

/* Any form and key: whether these are right was told already. */
static int is_published(const struct ours_account *account, enum ours_kind kind,
                        const char *accounturi, void *userdata)
{
    struct seeking *s = userdata;
    const struct dns_result *result = s->auditing->q->now;

    (void)account;
    (void)kind;
    for (size_t i = 0; i < result->n_views && !s->found; i++) {
        const struct dns_view *v = &result->views[i];

        for (size_t j = 0; dns_view_tells(v) && j < v->n_values && !s->found;
             j++) {
            CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
            enum persist_reason reason;

            s->found = persist_parse(buf_bytes(&v->values[j].text), &p,
                                     &reason) == 0 &&
                       strcmp(p.accounturi, accounturi) == 0 &&
                       same_issuer(p.issuer, s->record->issuer);
        }
    }
    return 0;
}

static int judge_record(struct auditing *a, const struct kept_value *record)
{
    struct seeking s = { .auditing = a, .record = record };
    int r = 0;

    a->value = (struct bytes){ 0 };
    a->account = ours_find(a->q->ours, record->account);
    if (a->account)
        r = ours_each_uri(a->account, a->q->domain, is_published, &s);
    if (r || s.found || !dns_result_tells(a->q->now))
        return r;
    return tell(a, AUDIT_NOT_PUBLISHED, record->issuer);
}

static int judge_silence(struct auditing *a, const struct dns_result *result)
{
    char detail[DNS_TEXT_MAX + 1];

    a->value = (struct bytes){ 0 };
    a->account = NULL;
    for (size_t i = 0; i < result->n_views; i++) {
        const struct dns_view *v = &result->views[i];

        if (!dns_view_final(v) || dns_status_known(v->status))
            continue;
        (void)snprintf(detail, sizeof(detail), "%.90s: %.90s",
                       v->server ? v->server : "no server",
                       dns_status_words(v->status));
        return tell(a, AUDIT_UNKNOWN, detail);
    }
    return result->n_views ? 0 : tell(a, AUDIT_UNKNOWN, "nobody was asked");
}

int audit_name(const struct audit_question *q, audit_fn fn, void *userdata)
{
    struct auditing a = { .q = q, .fn = fn, .userdata = userdata };
    int r;

    r = each_value(&a, q->now, judge_value);
    if (r == 0)
        r = each_value(&a, q->old, judge_old);
    for (size_t i = 0; r == 0 && i < q->n_records; i++)
        r = judge_record(&a, &q->records[i]);
    a.value = (struct bytes){ 0 };
    a.account = NULL;
    if (r == 0 && q->denied && q->n_records)
        r = tell(&a, AUDIT_DENIED_NAME, NULL);
    return r ? r : judge_silence(&a, q->now);
}

int audit_accounts(const struct ours *o, audit_fn fn, void *userdata)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < o->n; i++) {
        const struct ours_account *other = ours_same_url(o, &o->items[i]);
        const struct audit_finding f = { .code = AUDIT_SHARED_URL,
                                         .name = o->items[i].name,
                                         .account = o->items[i].name,
                                         .detail = other ? other->name : NULL };

        /* Once a pair. */
        if (other && strcmp(o->items[i].name, other->name) < 0)
            r = fn(&f, userdata);
    }
    return r;
}
