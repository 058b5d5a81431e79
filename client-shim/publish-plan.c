/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The plan over many domains: what to look up, and the order of changes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/publish.h"

/* What is looked up for one domain. */
struct domain {
    const struct zone *zone;
    char owner[DNS_NAME_MAX + 1];
    char writes[DNS_NAME_MAX + 1];
    size_t written; /* indexes of the lookups */
    size_t at_owner;
    bool alias;
};

static int domain_init(struct domain *d, const struct zones *zones,
                       const struct publish_want *want, struct errmsg *reterr)
{
    char owner[ZONE_OWNER_MAX];
    char writes[ZONE_OWNER_MAX];

    d->zone = zones_find(zones, want->domain);
    if (zone_owner(want->domain, owner) ||
        zone_write_owner(d->zone, want->domain, writes)) {
        errmsg_set(reterr,
                   "%.253s: its records' owner would be longer than the 253 "
                   "octets of a name",
                   want->domain);
        return PUBLISH_E_NAME;
    }
    (void)snprintf(d->owner, sizeof(d->owner), "%.253s", owner);
    (void)snprintf(d->writes, sizeof(d->writes), "%.253s", writes);
    d->alias = strcmp(d->owner, d->writes) != 0;
    return 0;
}

static void add_wanted(struct domain *d, struct dns_wanted *wanted, size_t *n)
{
    struct dns_wanted *w = &wanted[*n];
    bool asks_one = d->zone && d->zone->publisher == ZONE_RFC2136;

    d->written = (*n)++;
    *w = (struct dns_wanted){ .name = d->writes, .type = DNS_TYPE_TXT };
    /* Where an alias leads is another zone, with a file of its own or none. */
    if (asks_one || !d->alias)
        w->zone = d->zone;
    if (asks_one)
        w->only = d->zone->server;
    if (!d->alias)
        return;
    d->at_owner = (*n)++;
    wanted[d->at_owner] = (struct dns_wanted){ .name = d->owner,
                                               .type = DNS_TYPE_TXT,
                                               .zone = d->zone };
}

static int by_zone(const void *a, const void *b)
{
    const struct publish_change *x = a;
    const struct publish_change *y = b;
    int r = strcmp(x->zone ? x->zone->name : "", y->zone ? y->zone->name : "");

    if (r == 0)
        r = strcmp(x->owner, y->owner);
    if (r == 0)
        r = x->remove - y->remove;
    return r ? r : strcmp(buf_str(&x->value), buf_str(&y->value));
}

static int decide_all(const struct domain *domains,
                      const struct publish_want *wants, size_t n,
                      const struct dns_result *results,
                      const struct publish_rules *rules,
                      struct publish_plan *plan, struct errmsg *reterr)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct domain *d = &domains[i];

        r = publish_decide(&wants[i], d->zone, &results[d->written],
                           d->alias ? &results[d->at_owner] : NULL, rules, plan,
                           reterr);
    }
    if (r == 0 && plan->n_changes > 1)
        qsort(plan->changes, plan->n_changes, sizeof(*plan->changes), by_zone);
    return r;
}

int publish_plan(struct dns_lookup *lookup, const struct zones *zones,
                 const struct publish_want *wants, size_t n,
                 const struct publish_rules *rules, struct publish_plan *ret,
                 struct errmsg *reterr)
{
    CLEANUP_PUBLISH_PLAN struct publish_plan plan = { 0 };
    CLEANUP_FREE struct domain *domains = calloc(n ? n : 1, sizeof(*domains));
    CLEANUP_FREE struct dns_wanted *wanted =
        calloc(n ? 2 * n : 1, sizeof(*wanted));
    struct dns_result *results = NULL;
    size_t n_wanted = 0;
    int r = domains && wanted ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        r = domain_init(&domains[i], zones, &wants[i], reterr);
        if (r == 0)
            add_wanted(&domains[i], wanted, &n_wanted);
    }
    if (r == 0)
        r = dns_lookup_many(lookup, wanted, n_wanted, &results, NULL, NULL);
    if (r == 0)
        r = decide_all(domains, wants, n, results, rules, &plan, reterr);
    dns_results_free(results, n_wanted);
    if (r)
        return r;
    *ret = plan;
    plan = (struct publish_plan){ 0 };
    return 0;
}
