/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme/persist.h"
#include "client-shim/ctl-print.h"
#include "client-shim/handover.h"
#include "client-shim/records-audit.h"

#define LABELS_MAX 128

static int say_silent(struct handover *h, const struct dns_view *v,
                      const char *name)
{
    h->n_unknown++;
    return handover_add(
        h, "unknown",
        json_pack("{s:s, s:s, s:s}", "name", name, "server",
                  v && v->server ? v->server : "nobody", "text",
                  v ? dns_status_words(v->status) : "was asked"),
        false);
}

static int say_all_silent(struct handover *h, const struct dns_result *result)
{
    int r = CTL_EXIT_DONE;

    if (!result->views)
        return say_silent(h, NULL, result->name);
    for (size_t i = 0; r == 0 && i < result->n_views; i++) {
        const struct dns_view *v = &result->views[i];

        if (dns_view_final(v) && !dns_status_known(v->status))
            r = say_silent(h, v, result->name);
    }
    return r;
}

/* ---- records that are published ---- */

static const char *who(const struct handover *h, struct bytes value,
                       const struct ours_account **ret_account)
{
    static const char *const words[] = {
        [OURS_NOT] = "not ours",
        [OURS_NOW] = "ours",
        [OURS_REUSABLE] = "ours, the value for all domains",
        [OURS_OTHER_FORM] = "ours, in the form that the CA left behind",
        [OURS_EARLIER] = "ours, of an earlier key",
        [OURS_NEXT] = "ours, of the key that the account will have",
    };
    CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
    enum ours_kind kind = OURS_NOT;
    enum persist_reason reason;

    *ret_account = NULL;
    if (persist_parse(value, &p, &reason))
        return "cannot be read, so it authorizes nobody";
    if (ours_judge(&h->ours.all, h->domain, p.accounturi, &kind, ret_account))
        return "unknown: no memory";
    return words[kind];
}

static bool is_told(const json_t *rows, const json_t *row)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (json_equal(json_array_get(rows, i), row))
            return true;
    }
    return false;
}

static int add_value(struct handover *h, const char *owner, struct bytes value)
{
    const struct ours_account *account;
    const char *whose = who(h, value, &account);
    json_t *row = json_pack("{s:s, s:o, s:s, s:s*}", "owner", owner, "value",
                            ctl_dns_text(value), "whose", whose, "account",
                            account ? account->name : NULL);

    if (row && is_told(json_object_get(h->report, "published"), row)) {
        json_decref(row);
        return CTL_EXIT_DONE;
    }
    return handover_add(h, "published", row, true);
}

static int add_values(struct handover *h, const struct dns_result *result)
{
    int r = say_all_silent(h, result);

    for (size_t i = 0; i < result->n_views; i++) {
        const struct dns_view *v = &result->views[i];

        for (size_t j = 0; r == 0 && dns_view_tells(v) && j < v->n_values; j++)
            r = add_value(h, result->name, buf_bytes(&v->values[j].text));
    }
    return r;
}

int handover_published(struct handover *h)
{
    char before[ZONE_OWNER_MAX];
    const struct dns_wanted wanted[] = {
        { .name = h->owner,
          .type = DNS_TYPE_TXT,
          .zone = zones_find(h->dns.zones, h->domain) },
        { .name = before, .type = DNS_TYPE_TXT },
    };
    struct dns_result *results = NULL;
    int r;

    (void)snprintf(before, sizeof(before), AUDIT_LABEL_BEFORE ".%s", h->domain);
    r = ctl_dns_many(&h->dns, wanted, ARRAY_LEN(wanted), NULL, &results);
    if (r)
        return r;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(wanted); i++)
        r = add_values(h, &results[i]);
    dns_results_free(results, ARRAY_LEN(wanted));
    return r;
}

/* ---- CAA ---- */

static const struct dns_view *first_known(const struct dns_result *result)
{
    for (size_t i = 0; i < result->n_views; i++) {
        if (dns_view_tells(&result->views[i]))
            return &result->views[i];
    }
    return NULL;
}

static int add_caa_record(struct handover *h, const char *name,
                          const struct dns_value *value)
{
    return handover_add(h, "caa",
                        json_pack("{s:s, s:I, s:s, s:o}", "name", name, "flags",
                                  (json_int_t)value->number, "tag",
                                  value->tag ? value->tag : "", "value",
                                  ctl_dns_text(buf_bytes(&value->text))),
                        false);
}

/* What they mean for an account that has a record for the name. */
static int add_meaning(struct handover *h, const struct kept_value *record,
                       const struct dns_view *caa, const char *at)
{
    const struct ours_account *a = ours_find(&h->ours.all, record->account);
    const struct caa_question q = { .issuer = record->issuer,
                                    .account_url = a ? a->url : NULL,
                                    .wildcard = record->wildcard };
    enum caa_meaning m =
        caa_judge(caa ? caa->values : NULL, caa ? caa->n_values : 0, &q);

    return handover_add(h, "caaMeaning",
                        json_pack("{s:s, s:s, s:s*, s:b, s:s, s:s}", "account",
                                  record->account, "issuer", record->issuer,
                                  "at", at, "allowed", (int)caa_allows(m),
                                  "reason", caa_code(m), "text", caa_words(m)),
                        false);
}

static int add_meanings(struct handover *h, const struct dns_view *caa,
                        const char *at)
{
    size_t from = records_kept_find(&h->records, h->domain);
    size_t end = records_kept_end(&h->records, from);
    int r = CTL_EXIT_DONE;

    for (size_t i = from; r == 0 && i < end; i++)
        r = add_meaning(h, &h->records.items[i], caa, at);
    return r;
}

/* RFC 8659 section 3: the nearest name that has any counts. Where a nearer one
 * is unknown, so is what counts. */
static int climb(struct handover *h, const struct dns_result *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct dns_view *v = first_known(&results[i]);
        int r = CTL_EXIT_DONE;

        if (!v)
            return say_all_silent(h, &results[i]);
        if (v->status != DNS_OK || v->n_values == 0)
            continue;
        for (size_t k = 0; r == 0 && k < v->n_values; k++)
            r = add_caa_record(h, results[i].name, &v->values[k]);
        return r ? r : add_meanings(h, v, results[i].name);
    }
    return add_meanings(h, NULL, NULL);
}

int handover_caa(struct handover *h)
{
    struct dns_wanted wanted[LABELS_MAX];
    struct dns_result *results = NULL;
    const char *name = h->domain;
    size_t n = 0;
    int r;

    do {
        const char *dot = strchr(name, '.');

        wanted[n++] = (struct dns_wanted){ .name = name, .type = DNS_TYPE_CAA };
        name = dot ? dot + 1 : NULL;
    } while (name && n < LABELS_MAX);
    r = ctl_dns_many(&h->dns, wanted, n, NULL, &results);
    if (r)
        return r;
    r = climb(h, results, n);
    dns_results_free(results, n);
    return r;
}
