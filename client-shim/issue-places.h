/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/issue.h"

/* What issue-places.c looks up and issue-precheck.c judges. */

/* A domain at which a record may stand, and what was found there. */
struct issue_place {
    const char *domain; /* borrowed */
    bool wildcard;      /* its record must have policy=wildcard */
    struct issue_accepted accepted;
    struct dns_result result; /* after the look-up */
    bool looked;
};

/* A domain that is ordered, with or without "*.": its own place and, where
 * records are key-bound, those above. */
struct issue_subject {
    const char *domain;
    bool wildcard;
    size_t first, n; /* of places */
    bool found;
};

struct issue_precheck {
    struct issue_subject *subjects;
    size_t n_subjects;
    struct issue_place *places;
    size_t n_places;
    struct zones *zones;     /* NULL: not readable here */
    struct zone by_resolver; /* for domains without a zone's file */
};

/* issue_places_plan() - into i->precheck: what is ordered, and where a record
 * for it may stand. */
int issue_places_plan(struct issue *i) MUST_CHECK;

/* issue_places_look_up() - each subject's own place, or (@own false) the others
 * of subjects that are not found yet. */
int issue_places_look_up(struct issue *i, struct dns_lookup *lookup,
                         bool own) MUST_CHECK;

/* issue_places_find() - NULL: not ordered. */
struct issue_subject *issue_places_find(const struct issue_precheck *p,
                                        const char *domain);

/* issue_places_zone() - the zone whose settings say where to look. */
const struct zone *issue_places_zone(const struct issue *i, const char *domain);
