/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/publish.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "client-shim/dns-view.h"

/* gcc 12 does not see that an array in a plan keeps its strings, and calls
 * it lost. Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

const char *publish_state_word(enum publish_state s)
{
    static const char *const words[] = {
        [PUBLISH_PENDING] = "pending", [PUBLISH_DONE] = "done",
        [PUBLISH_FAILED] = "failed",   [PUBLISH_UNKNOWN] = "unknown",
        [PUBLISH_LATER] = "later",     [PUBLISH_BY_HAND] = "by-hand",
    };

    return words[s];
}

static void change_deinit(struct publish_change *c)
{
    free(c->domain);
    free(c->owner);
    buf_deinit(&c->rdata);
    buf_deinit(&c->value);
}

void publish_plan_deinit(struct publish_plan *p)
{
    for (size_t i = 0; i < p->n_changes; i++)
        change_deinit(&p->changes[i]);
    for (size_t i = 0; i < p->n_notes; i++)
        free(p->notes[i].domain);
    free(p->changes);
    free(p->notes);
    *p = (struct publish_plan){ 0 };
}

size_t publish_count(const struct publish_plan *p, enum publish_state s)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_changes; i++)
        n += p->changes[i].state == s;
    return n;
}

/* Deciding about one domain. */
struct deciding {
    const struct publish_want *want;
    const struct zone *zone;
    const struct publish_rules *rules;
    struct publish_plan *plan;
    char owner[ZONE_OWNER_MAX];  /* zone_owner() */
    char writes[ZONE_OWNER_MAX]; /* zone_write_owner() */
    size_t first;                /* of the plan's changes, this domain's */
    uint32_t ttl_s;
};

static int note(struct deciding *d, bool blocks, const char *fmt, ...)
    PRINTF(3, 4);
static int note(struct deciding *d, bool blocks, const char *fmt, ...)
{
    struct publish_plan *p = d->plan;
    struct publish_note *more =
        array_grown(p->notes, p->n_notes, sizeof(*more));
    va_list ap;

    if (!more)
        return -ENOMEM;
    p->notes = more;
    more += p->n_notes;
    *more = (struct publish_note){ .domain = strdup(d->want->domain),
                                   .blocks = blocks };
    if (!more->domain)
        return -ENOMEM;
    va_start(ap, fmt);
    (void)vsnprintf(more->text, sizeof(more->text), fmt, ap);
    va_end(ap);
    p->n_notes++;
    return 0;
}

static int change_init(struct publish_change *c, const struct deciding *d,
                       struct bytes rdata)
{
    int r;

    c->domain = strdup(d->want->domain);
    c->owner = strdup(d->writes);
    if (!c->domain || !c->owner)
        return -ENOMEM;
    r = buf_append(&c->rdata, rdata.data, rdata.len);
    return r ? r : dns_txt_join(rdata, &c->value);
}

static int add_change(struct deciding *d, bool remove, struct bytes rdata)
{
    struct publish_plan *p = d->plan;
    struct publish_change *more =
        array_grown(p->changes, p->n_changes, sizeof(*more));
    int r;

    if (!more)
        return -ENOMEM;
    p->changes = more;
    more += p->n_changes;
    *more = (struct publish_change){ .zone = d->zone,
                                     .remove = remove,
                                     .ttl_s = d->ttl_s };
    r = change_init(more, d, rdata);
    if (r)
        change_deinit(more);
    else
        p->n_changes++;
    return r;
}

static bool view_has(const struct dns_view *v, const char *value)
{
    for (size_t i = 0; i < v->n_values; i++) {
        if (bytes_eq_str(buf_bytes(&v->values[i].text), value))
            return true;
    }
    return false;
}

/* Everywhere, as far as anybody says. */
static bool is_published(const struct dns_result *r, const char *value)
{
    bool any = false;

    for (size_t i = 0; i < r->n_views; i++) {
        if (!dns_view_tells(&r->views[i]))
            continue;
        if (!view_has(&r->views[i], value))
            return false;
        any = true;
    }
    return any;
}

static int add_missing(struct deciding *d, const struct dns_result *written)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < d->want->n_values; i++) {
        const char *value = d->want->values[i];
        CLEANUP_BUF struct buf rdata = { 0 };

        if (is_published(written, value)) {
            d->plan->n_unchanged++;
            continue;
        }
        if (d->rules->only_remove)
            continue;
        r = dns_txt_encode(bytes_from_str(value), &rdata);
        if (r == 0)
            r = add_change(d, false, buf_bytes(&rdata));
    }
    return r;
}

static bool is_wanted(const struct deciding *d, struct bytes value)
{
    for (size_t i = 0; i < d->want->n_values; i++) {
        if (bytes_eq_str(value, d->want->values[i]))
            return true;
    }
    return false;
}

static bool is_own(const struct deciding *d, struct bytes value)
{
    return d->rules->own && d->rules->own(value, d->rules->userdata);
}

/* Two servers may show the same record: it is one, if it is cut alike. */
static bool is_planned(const struct deciding *d, struct bytes rdata)
{
    for (size_t i = d->first; i < d->plan->n_changes; i++) {
        const struct publish_change *c = &d->plan->changes[i];

        if (c->remove && bytes_eq(buf_bytes(&c->rdata), rdata))
            return true;
    }
    return false;
}

static int remove_own(struct deciding *d, const struct dns_view *v)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < v->n_values; i++) {
        struct bytes text = buf_bytes(&v->values[i].text);
        struct bytes rdata = buf_bytes(&v->values[i].rdata);

        if (!is_wanted(d, text) && is_own(d, text) && !is_planned(d, rdata))
            r = add_change(d, true, rdata);
    }
    return r;
}

/*
 * The records of one name have one TTL, and a server that is told another gives
 * it to all of them (RFC 2136 section 3.4.2.2): where foreign ones stand,
 * theirs is kept.
 */
static uint32_t ttl_of(const struct deciding *d, const struct dns_result *r)
{
    for (size_t i = 0; i < r->n_views; i++) {
        const struct dns_view *v = &r->views[i];

        for (size_t j = 0; !v->resolver && j < v->n_values; j++) {
            struct bytes text = buf_bytes(&v->values[j].text);

            if (!is_own(d, text) && !is_wanted(d, text))
                return v->ttl_s;
        }
    }
    return d->zone ? d->zone->ttl_s : ZONE_TTL_DEFAULT_S;
}

/* Where a CNAME stands nothing else can (RFC 1034 section 3.6.2). */
static const char *cname_at(const struct dns_result *r)
{
    for (size_t i = 0; i < r->n_views; i++) {
        const struct dns_view *v = &r->views[i];

        if (strcmp(v->name, r->name) != 0)
            continue;
        if (v->chain)
            return v->chain[0];
        if (v->status == DNS_ALIAS)
            return v->target;
    }
    return NULL;
}

static bool leads_to(const struct dns_result *r, const char *name)
{
    for (size_t i = 0; i < r->n_views; i++) {
        const struct dns_view *v = &r->views[i];

        if (v->target && strcmp(v->target, name) == 0)
            return true;
        for (char **p = v->chain; p && *p; p++) {
            if (strcmp(*p, name) == 0)
                return true;
        }
    }
    return false;
}

static int note_alias(struct deciding *d, const struct dns_result *owner)
{
    if (leads_to(owner, d->writes) || !dns_result_tells(owner))
        return 0;
    return note(d, false,
                "records are written to %s, but %s does not lead there: "
                "\"%s. IN CNAME %s.\" must stand in %s",
                d->writes, d->owner, d->owner, d->writes, d->zone->name);
}

static int note_silence(struct deciding *d, const struct dns_result *written)
{
    const struct dns_view *v = written->n_views ? &written->views[0] : NULL;

    return note(d, false, "what stands at %s is unknown: %s%s%s", d->writes,
                v ? v->server : "nobody", v ? ": " : " was asked",
                v ? dns_status_words(v->status) : "");
}

/* Caches may go on with that for so long. */
static void take_ttl(struct publish_plan *plan, const struct dns_result *r)
{
    for (size_t i = 0; i < r->n_views; i++) {
        const struct dns_view *v = &r->views[i];

        if (dns_view_tells(v) && v->ttl_s > plan->before_ttl_s)
            plan->before_ttl_s = v->ttl_s;
    }
}

static int decide(struct deciding *d, const struct dns_result *written,
                  const struct dns_result *owner)
{
    const char *cname = cname_at(written);
    int r = 0;

    if (cname)
        return note(d, true,
                    "%s is a CNAME to %s, so no record can stand there: name "
                    "the zone of that as AliasZone=, or remove the CNAME",
                    d->writes, cname);
    d->first = d->plan->n_changes;
    d->ttl_s = ttl_of(d, written);
    if (owner)
        r = note_alias(d, owner);
    if (r == 0 && !dns_result_tells(written))
        r = note_silence(d, written);
    if (r == 0)
        r = add_missing(d, written);
    if (r == 0 && d->plan->n_changes > d->first)
        take_ttl(d->plan, written);
    for (size_t i = 0; r == 0 && i < written->n_views; i++)
        r = remove_own(d, &written->views[i]);
    return r;
}

static int deciding_init(struct deciding *d, const struct publish_want *want,
                         const struct zone *zone, struct errmsg *reterr)
{
    *d = (struct deciding){ .want = want, .zone = zone };
    if (zone_owner(want->domain, d->owner) == 0 &&
        zone_write_owner(zone, want->domain, d->writes) == 0)
        return 0;
    errmsg_set(reterr,
               "%.253s: its records' owner would be longer than the 253 "
               "octets of a name",
               want->domain);
    return PUBLISH_E_NAME;
}

int publish_decide(const struct publish_want *want, const struct zone *zone,
                   const struct dns_result *written,
                   const struct dns_result *owner,
                   const struct publish_rules *rules, struct publish_plan *plan,
                   struct errmsg *reterr)
{
    struct deciding d;
    int r = deciding_init(&d, want, zone, reterr);

    if (r)
        return r;
    d.rules = rules;
    d.plan = plan;
    return decide(&d, written, owner);
}

int publish_format_change(const struct publish_change *c, struct buf *ret)
{
    int r = buf_printf(ret, "%s %s. %u IN TXT ", c->remove ? "remove" : "add",
                       c->owner, c->ttl_s);

    return r ? r : dns_txt_format(buf_bytes(&c->rdata), ret);
}

int publish_bind_policy(const struct zone *z, const char *owner,
                        struct buf *ret)
{
    return buf_printf(ret, "grant %s name %s. TXT;",
                      z->tsig_name ? z->tsig_name : "KEY", owner);
}
