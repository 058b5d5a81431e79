/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-records-dns.h"
#include "client-shim/publish-own.h"

/*
 * A rotation's records in DNS: which there should be, making it so by each
 * zone's publisher, and looking at every server whether it is so. Functions
 * return exit codes; errors are printed.
 *
 *   rotate-dns.c       what should be there, and the changes
 *   rotate-dns-look.c  what is there
 */

enum rotate_work {
    ROTATE_WORK_UNSET = 0,
    ROTATE_PUBLISH,    /* the new key's, beside the old */
    ROTATE_VERIFY,     /* the same, and they are looked for */
    ROTATE_REMOVE_OLD, /* the old key's are to go; the new key's stand */
    ROTATE_REMOVE_NEW, /* the new key's are to go */
};
enum rotate_work rotate_work_parse(const char *word); /* "remove-old" */

/* rotate_removes() - else it publishes. */
bool rotate_removes(enum rotate_work w);

struct rotate_dns {
    const struct ctl_context *c;
    enum rotate_work work;
    bool none; /* nothing is wanted, only removed */
    struct ctl_dns dns;
    struct records_kept kept;
    const char **values; /* of all kept, in their order */
    struct publish_want *wants;
    bool *pending; /* of the wants: not seen as it should be yet */
    size_t n;
    struct publish_own own; /* that may be removed, sorted */
};
#define CLEANUP_ROTATE_DNS CLEANUP(rotate_dns_deinit)
void rotate_dns_deinit(struct rotate_dns *d);

/**
 * rotate_dns_load() - what should be there
 * @rotation: type Rotation
 *
 * Records of denied names are not published; theirs of a key that goes are
 * removed as all others.
 */
int rotate_dns_load(struct rotate_dns *d, const struct ctl_context *c,
                    const json_t *rotation, enum rotate_work work) MUST_CHECK;

/* What became of the changes. */
struct rotate_tally {
    size_t n_changes, n_done, n_by_hand, n_blocked;
    size_t n_failed; /* or nobody knows */
    char text[400];  /* of the first of those */
};

/* rotate_before_fn - before the first change is made, and again when @ttl_s is
 * longer: for so long caches may keep what was there. Nonzero ends it. */
typedef int (*rotate_before_fn)(uint32_t ttl_s, void *userdata);

/**
 * rotate_dns_change() - by each zone's publisher
 * @before: may be NULL
 *
 * Looked up and changed in batches. What has to be made by hand is printed
 * unless the work is ROTATE_PUBLISH, after which it is looked at once more.
 */
int rotate_dns_change(struct rotate_dns *d, rotate_before_fn before,
                      void *userdata, struct rotate_tally *ret) MUST_CHECK;

/* rotate_dns_plan() - the changes alone, of all. publish_plan_deinit() after.
 */
int rotate_dns_plan(struct rotate_dns *d, struct publish_plan *ret) MUST_CHECK;

/* What was seen. */
struct rotate_seen {
    size_t n_pending;
    bool by_hand;     /* one of them is in a zone without a publisher */
    uint32_t ttl_s;   /* the longest of what was seen as it should be */
    char text[400];   /* which server does not have what */
    json_t *accepted; /* zones for which a person answers, of pending names */
};
void rotate_seen_deinit(struct rotate_seen *s);

/**
 * rotate_dns_look() - all that are pending, at every server
 * @accepted: zones, an array: of names in them nothing needs to be seen
 *
 * A server that does not tell counts as one that does not have it.
 */
int rotate_dns_look(struct rotate_dns *d, const json_t *accepted,
                    struct rotate_seen *ret) MUST_CHECK;

enum rotate_look {
    ROTATE_LOOK_UNSET = 0,
    ROTATE_LOOK_GOOD,
    ROTATE_LOOK_NOT,
    ROTATE_LOOK_SILENT, /* nobody says that it is not so, but one does not tell
                         */
};

/**
 * rotate_look() - is all of @want on every server? Pure.
 * @own:      NULL; or what must be on none of them
 * @ret_view: the server that is in the way; NULL if nobody was asked
 * @ret_ttl:  the longest
 */
enum rotate_look rotate_look(const struct dns_result *result,
                             const struct publish_want *want,
                             struct publish_own *own,
                             const struct dns_view **ret_view,
                             uint32_t *ret_ttl);
