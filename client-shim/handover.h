/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/caa-judge.h"
#include "client-shim/ctl-records-dns.h"
#include "client-shim/ctl-records-ours.h"

/*
 * records handover: what whoever sells or buys a name must look at.
 *
 *   ctl-records-handover.c  what is known here: records, policies, denied names
 *   handover-dns.c          what is published: values and CAA
 */

struct handover {
    const struct ctl_context *c;
    char domain[DNS_NAME_MAX + 1];
    char owner[ZONE_OWNER_MAX];
    struct ctl_dns dns;
    struct ctl_ours ours;
    struct records_kept records; /* of the name, those above and below it */
    json_t *report;              /* of arrays, by section */
    size_t n_found;
    size_t n_unknown;
};

/* handover_add() - a row of a section; the reference to @row is taken over. */
int handover_add(struct handover *h, const char *section, json_t *row,
                 bool found) MUST_CHECK;

int handover_published(struct handover *h) MUST_CHECK;
int handover_caa(struct handover *h) MUST_CHECK;
