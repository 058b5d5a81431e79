/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/settings-value.h"

const char *dns_security_word(enum dns_security s)
{
    static const char *const words[] = {
        [DNS_SECURITY_UNKNOWN] = "unknown",
        [DNS_SECURITY_UNSIGNED] = "unsigned",
        [DNS_SECURITY_SIGNED] = "signed",
        [DNS_SECURITY_AD_UNTRUSTED] = "ad-untrusted",
        [DNS_SECURITY_VALIDATED] = "validated",
        [DNS_SECURITY_BOGUS] = "bogus",
    };

    return words[s];
}

static void value_deinit(struct dns_value *v)
{
    buf_deinit(&v->rdata);
    buf_deinit(&v->text);
    free(v->tag);
}

void dns_view_deinit(struct dns_view *v)
{
    for (size_t i = 0; i < v->n_values; i++)
        value_deinit(&v->values[i]);
    free(v->values);
    free(v->server);
    free(v->zone);
    free(v->name);
    free(v->target);
    settings_strv_free(v->chain);
    *v = (struct dns_view){ 0 };
}

bool dns_view_final(const struct dns_view *v)
{
    return v->status != DNS_ALIAS && v->status != DNS_DELEGATED;
}

bool dns_view_tells(const struct dns_view *v)
{
    return dns_view_final(v) && dns_status_known(v->status);
}

bool dns_result_tells(const struct dns_result *r)
{
    for (size_t i = 0; i < r->n_views; i++) {
        if (dns_view_tells(&r->views[i]))
            return true;
    }
    return false;
}

const char *dns_view_end(const struct dns_view *v)
{
    const char *end = v->name;

    for (char **p = v->chain; p && *p; p++)
        end = *p;
    return end;
}

static bool in_chain(const struct dns_view *v, const char *name)
{
    for (char **p = v->chain; p && *p; p++) {
        if (strcmp(*p, name) == 0)
            return true;
    }
    return strcmp(v->name, name) == 0;
}

static const char *cname_of(const struct dns_answer *a, const char *owner)
{
    for (size_t i = 0; i < a->n_rrs; i++) {
        const struct dns_rr *rr = &a->rrs[i];

        if (rr->type == DNS_TYPE_CNAME && !rr->authority &&
            strcmp(rr->owner, owner) == 0)
            return rr->name;
    }
    return NULL;
}

static int lead_on(struct dns_view *v, enum dns_status status,
                   const char *target)
{
    v->status = status;
    v->target = strdup(target);
    return v->target ? 0 : -ENOMEM;
}

/* Of each step within the zone the answer may have the next. */
static int follow(struct dns_view *v, const struct dns_answer *a)
{
    const char *next;
    size_t n = 0;
    int r;

    while ((next = cname_of(a, dns_view_end(v)))) {
        if (in_chain(v, next) || n++ == DNS_CHAIN_MAX) {
            v->status = DNS_LOOP;
            return 0;
        }
        if (!v->resolver && !zone_covers(v->zone, next))
            return lead_on(v, DNS_ALIAS, next);
        r = settings_strv_add(&v->chain, next);
        if (r)
            return r;
    }
    return 0;
}

static int add_value(struct dns_view *v, const struct dns_rr *rr)
{
    struct dns_value value = { .number = rr->number };
    struct dns_value *more = array_grown(v->values, v->n_values, sizeof(*more));
    int r;

    if (!more)
        return -ENOMEM;
    v->values = more;
    r = buf_append(&value.rdata, rr->rdata.data, rr->rdata.len);
    if (r == 0)
        r = buf_append(&value.text, rr->text.data, rr->text.len);
    if (r == 0 && rr->type == DNS_TYPE_CAA) {
        value.tag = strdup(rr->name);
        r = value.tag ? 0 : -ENOMEM;
    }
    if (r) {
        value_deinit(&value);
        return r;
    }
    if (v->n_values == 0 || rr->ttl_s < v->ttl_s)
        v->ttl_s = rr->ttl_s;
    more[v->n_values++] = value;
    return 0;
}

static int collect(struct dns_view *v, const struct dns_answer *a,
                   enum dns_type type)
{
    const char *end = dns_view_end(v);
    int r = 0;

    for (size_t i = 0; r == 0 && i < a->n_rrs; i++) {
        const struct dns_rr *rr = &a->rrs[i];

        if (rr->type == type && !rr->authority && strcmp(rr->owner, end) == 0)
            r = add_value(v, rr);
    }
    if (v->n_values > 0)
        v->status = DNS_OK;
    return r;
}

/* A zone below ours, with servers of its own, that has the name; NULL: none. */
static const char *delegation(const struct dns_view *v,
                              const struct dns_answer *a)
{
    for (size_t i = 0; !v->resolver && i < a->n_rrs; i++) {
        const struct dns_rr *rr = &a->rrs[i];

        if (rr->type == DNS_TYPE_NS && rr->authority &&
            strcmp(rr->owner, v->zone) != 0 &&
            zone_covers(v->zone, rr->owner) &&
            zone_covers(rr->owner, dns_view_end(v)))
            return rr->owner;
    }
    return NULL;
}

static void nothing_there(struct dns_view *v, const struct dns_answer *a)
{
    v->status = a->rcode == DNS_RCODE_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA;
    for (size_t i = 0; i < a->n_rrs; i++) {
        if (a->rrs[i].type == DNS_TYPE_SOA && a->rrs[i].authority)
            v->ttl_s = a->rrs[i].number;
    }
}

/* An answer that is none: *ret says which. */
static bool refused(struct dns_view *v, const struct dns_answer *a)
{
    char space[16];

    if (a->status != DNS_OK)
        v->status = a->status;
    else if (a->rcode == DNS_RCODE_SERVFAIL)
        v->status = DNS_SERVFAIL;
    else if (a->rcode == DNS_RCODE_REFUSED)
        v->status = DNS_REFUSED;
    else if (a->rcode != DNS_RCODE_NOERROR && a->rcode != DNS_RCODE_NXDOMAIN) {
        v->status = DNS_RCODE;
        (void)snprintf(v->text, sizeof(v->text), "%s",
                       dns_rcode_name(a->rcode, space));
        return true;
    } else
        return false;
    (void)snprintf(v->text, sizeof(v->text), "%s", a->text);
    return true;
}

static enum dns_security security_of(const struct dns_view *v,
                                     const struct dns_answer *a)
{
    if (v->resolver && a->authenticated)
        return a->local ? DNS_SECURITY_VALIDATED : DNS_SECURITY_AD_UNTRUSTED;
    return a->is_signed ? DNS_SECURITY_SIGNED : DNS_SECURITY_UNSIGNED;
}

int dns_view_fill(struct dns_view *v, const struct dns_answer *a,
                  enum dns_type type)
{
    const char *below;
    int r;

    if (refused(v, a))
        return 0;
    v->security = security_of(v, a);
    if (!v->resolver && !a->authoritative) {
        below = delegation(v, a);
        if (below)
            return lead_on(v, DNS_DELEGATED, below);
        v->status = DNS_LAME;
        return 0;
    }
    r = follow(v, a);
    if (r || v->status)
        return r;
    r = collect(v, a, type);
    if (r || v->status)
        return r;
    below = delegation(v, a);
    if (below)
        return lead_on(v, DNS_DELEGATED, below);
    nothing_there(v, a);
    return 0;
}

void dns_result_deinit(struct dns_result *r)
{
    for (size_t i = 0; i < r->n_views; i++)
        dns_view_deinit(&r->views[i]);
    free(r->views);
    free(r->name);
    *r = (struct dns_result){ 0 };
}

struct dns_result *dns_results_free(struct dns_result *r, size_t n)
{
    for (size_t i = 0; r && i < n; i++)
        dns_result_deinit(&r[i]);
    free(r);
    return NULL;
}

static bool same_value(const struct dns_value *a, const struct dns_value *b)
{
    return bytes_eq(buf_bytes(&a->text), buf_bytes(&b->text)) &&
           a->number == b->number &&
           strcmp(a->tag ? a->tag : "", b->tag ? b->tag : "") == 0;
}

static bool has_values_of(const struct dns_view *v, const struct dns_view *of)
{
    for (size_t i = 0; i < of->n_values; i++) {
        size_t j = 0;

        while (j < v->n_values && !same_value(&v->values[j], &of->values[i]))
            j++;
        if (j == v->n_values)
            return false;
    }
    return true;
}

enum dns_agreement dns_result_agreement(const struct dns_result *r)
{
    const struct dns_view *first = NULL;
    bool all = true;

    for (size_t i = 0; i < r->n_views; i++) {
        const struct dns_view *v = &r->views[i];

        if (!dns_view_final(v))
            continue;
        if (!dns_status_known(v->status)) {
            all = false;
            continue;
        }
        if (first && (!has_values_of(v, first) || !has_values_of(first, v)))
            return DNS_DISAGREE;
        first = v;
    }
    if (!first)
        return DNS_NOBODY;
    return all ? DNS_AGREE : DNS_PARTLY;
}
