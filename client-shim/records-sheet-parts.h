/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/bytes.h"
#include "client-shim/records-sheet.h"

/* What records-sheet.c collects and records-sheet-print.c prints. */

/* What one zone is told, by one server, with one key. */
struct part {
    struct buf text;
    size_t unsent; /* octets after nsupdate's last "send" */
};

enum part_kind {
    PART_OWN = 0, /* the zone itself; with AliasZone= the CNAMEs */
    PART_ALIAS,   /* the zone of AliasZone= */
    PART_CAA,     /* nsupdate: the zone itself again, apart, since a key that
                     may write TXT alone would have all of it refused */
    PART_COUNT
};

struct group {
    const struct zone *zone; /* NULL: no file for them */
    struct part parts[PART_COUNT];
    json_t *seen; /* owners that have their CNAME or grant */
};

struct records_sheet {
    struct records_style style;
    struct group *groups; /* one for each zone, and one for no zone */
    size_t n_groups;
    struct buf json;
    json_t *staging; /* names of accounts */
    json_t *granted; /* "KEY ZONE" of alias zones, which zones can share */
    size_t count;
};
