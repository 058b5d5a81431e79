/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/issue-places.h"

#include <errno.h>
#include <string.h>

#include "client-shim/ctl-records-dns.h"

struct issue_precheck *issue_precheck_free(struct issue_precheck *p)
{
    if (!p)
        return NULL;
    for (size_t n = 0; n < p->n_places; n++) {
        issue_accepted_deinit(&p->places[n].accepted);
        if (p->places[n].looked)
            dns_result_deinit(&p->places[n].result);
    }
    free(p->places);
    free(p->subjects);
    (void)zones_free(p->zones);
    free(p);
    return NULL;
}

/* ---- what is to be looked for ---- */

static int add_place(struct issue *i, const char *domain, bool wildcard)
{
    struct issue_place *at = &i->precheck->places[i->precheck->n_places];
    struct refusal refusal = { 0 };
    int r;

    r = issue_accepted_make(&i->identity, domain, &at->accepted, &refusal);
    if (r == REFUSED)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: %s: %s", domain,
                        reason_code(refusal.reason), refusal.detail);
    if (r)
        return ctl_fail_errno(r, domain);
    at->domain = domain;
    at->wildcard = wildcard;
    i->precheck->n_places++;
    return CTL_EXIT_DONE;
}

static int add_places(struct issue *i, struct issue_subject *s)
{
    const char *above = s->domain;
    int r;

    s->first = i->precheck->n_places;
    r = add_place(i, s->domain, s->wildcard);
    while (r == 0 && i->identity.prefix && (above = issue_parent(above)))
        r = add_place(i, above, true);
    s->n = i->precheck->n_places - s->first;
    return r;
}

/* At most so many: a domain, and what is above it. */
static size_t count_places(const struct issue *i)
{
    size_t n = 0;

    for (size_t k = 0; k < i->names.n; k++) {
        for (const char *d = i->names.items[k].value; d; d = issue_parent(d))
            n++;
    }
    return n;
}

struct issue_subject *issue_places_find(const struct issue_precheck *p,
                                        const char *domain)
{
    for (size_t n = 0; n < p->n_subjects; n++) {
        if (strcmp(p->subjects[n].domain, domain) == 0)
            return &p->subjects[n];
    }
    return NULL;
}

/* "*.example.com" and "example.com" have one record. */
static void add_subject(struct issue_precheck *p, const char *name)
{
    bool wildcard = name[0] == '*';
    const char *domain = wildcard ? name + 2 : name;
    struct issue_subject *s = issue_places_find(p, domain);

    if (!s) {
        s = &p->subjects[p->n_subjects++];
        *s = (struct issue_subject){ .domain = domain };
    }
    s->wildcard |= wildcard;
}

static int make(struct issue *i)
{
    struct issue_precheck *p = calloc(1, sizeof(*p));
    int r = CTL_EXIT_DONE;

    i->precheck = p;
    if (p) {
        p->subjects = calloc(i->names.n + 1, sizeof(*p->subjects));
        p->places = calloc(count_places(i) + 1, sizeof(*p->places));
    }
    if (!p || !p->subjects || !p->places)
        return ctl_fail_errno(-ENOMEM, "look-up");
    for (size_t n = 0; n < i->names.n; n++)
        add_subject(p, i->names.items[n].value);
    for (size_t n = 0; r == 0 && n < p->n_subjects; n++)
        r = add_places(i, &p->subjects[n]);
    return r;
}

int issue_places_plan(struct issue *i)
{
    int r;

    r = make(i);
    if (r == 0)
        r = ctl_dns_zones(i->context, true, &i->precheck->zones);
    if (r == 0)
        i->precheck->by_resolver =
            (struct zone){ .verify = ZONE_VERIFY_RESOLVER,
                           .resolver = i->resolver };
    return r;
}

/* ---- the look-up ---- */

const struct zone *issue_places_zone(const struct issue *i, const char *domain)
{
    const struct issue_precheck *p = i->precheck;
    const struct zone *z = p->zones ? zones_find(p->zones, domain) : NULL;

    return z && !i->resolver.family ? z : &p->by_resolver;
}

/* Which of the places: each subject's own, or the others of those that are
 * not found yet. */
static bool wanted(const struct issue_precheck *p,
                   const struct issue_subject *s, size_t place, bool own)
{
    return !p->places[place].looked && (own ? place == s->first : !s->found);
}

static int look_up_list(struct issue *i, struct dns_lookup *lookup,
                        size_t *places, size_t n,
                        char (*owners)[ZONE_OWNER_MAX])
{
    CLEANUP_FREE struct dns_wanted *list = calloc(n, sizeof(*list));
    struct dns_result *results = NULL;
    int r;

    if (!list)
        return -ENOMEM;
    for (size_t k = 0; k < n; k++) {
        const char *domain = i->precheck->places[places[k]].domain;

        if (zone_owner(domain, owners[k]))
            return -ENAMETOOLONG;
        list[k] = (struct dns_wanted){ .name = owners[k],
                                       .type = DNS_TYPE_TXT,
                                       .zone = issue_places_zone(i, domain) };
    }
    r = dns_lookup_many(lookup, list, n, &results, NULL, NULL);
    for (size_t k = 0; r == 0 && k < n; k++) {
        i->precheck->places[places[k]].result = results[k];
        i->precheck->places[places[k]].looked = true;
    }
    free(results);
    return r;
}

int issue_places_look_up(struct issue *i, struct dns_lookup *lookup, bool own)
{
    struct issue_precheck *p = i->precheck;
    CLEANUP_FREE size_t *places = calloc(p->n_places, sizeof(*places));
    CLEANUP_FREE char(*owners)[ZONE_OWNER_MAX] =
        calloc(p->n_places, sizeof(*owners));
    size_t n = 0;
    int r;

    if (!places || !owners)
        return ctl_fail_errno(-ENOMEM, "look-up");
    for (size_t s = 0; s < p->n_subjects; s++) {
        const struct issue_subject *sub = &p->subjects[s];

        for (size_t k = sub->first; k < sub->first + sub->n; k++) {
            if (wanted(p, sub, k, own))
                places[n++] = k;
        }
    }
    if (n == 0)
        return CTL_EXIT_DONE;
    r = look_up_list(i, lookup, places, n, owners);
    return r ? ctl_fail_errno(r, "look-up in DNS") : CTL_EXIT_DONE;
}
