/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-lookup.h"

/*
 * From the records that should be there to those that are there. What is there
 * already is not written again, and of what is there only values of our own
 * accounts are ever removed.
 */

/* What should stand for a domain: all values, of all our accounts. */
struct publish_want {
    const char *domain;        /* normal form */
    const char *const *values; /* as rendered, not split; none: nothing */
    size_t n_values;
};

/* publish_own_fn - is this published value one that names an account of ours,
 * in the form of now or of an earlier key? Only then it may be removed. */
typedef bool (*publish_own_fn)(struct bytes value, void *userdata);

struct publish_rules {
    publish_own_fn own; /* NULL: nothing is removed */
    void *userdata;
    /* Only removes: what is wanted is not added. For records revoke. */
    bool only_remove;
};

enum publish_state {
    PUBLISH_PENDING = 0, /* not tried */
    PUBLISH_DONE,
    PUBLISH_FAILED,  /* not made: see its text */
    PUBLISH_UNKNOWN, /* it may or may not have been made: look */
    PUBLISH_LATER,   /* a hook said: try again later */
    PUBLISH_BY_HAND, /* for the operator to make */
};
const char *publish_state_word(enum publish_state s);

struct publish_change {
    const struct zone *zone; /* NULL: no file for it, so by hand */
    char *domain;
    char *owner; /* where it is written: zone_write_owner() */
    bool remove;
    uint32_t ttl_s;
    struct buf rdata; /* TXT */
    struct buf value; /* the same, joined */
    enum publish_state state;
    char text[DNS_TEXT_MAX + 1]; /* more about it, or empty */
};

/* Something about a domain that changes alone do not cure. */
struct publish_note {
    char *domain;
    bool blocks; /* nothing is planned for the domain */
    char text[1024];
};

struct publish_plan {
    struct publish_change *changes; /* by zone, then owner, removals last */
    size_t n_changes;
    struct publish_note *notes; /* a CNAME that lacks, a zone of which nobody
                                   says what is there */
    size_t n_notes;
    uint32_t before_ttl_s; /* the longest of what stood where something is to
                              be added, or of nothing standing there */
    size_t n_unchanged;    /* wanted values that are there already */
};
#define CLEANUP_PUBLISH_PLAN CLEANUP(publish_plan_deinit)
void publish_plan_deinit(struct publish_plan *p);

/**
 * publish_plan() - look at what is there, and say what is to change
 * @lookup: with @zones
 *
 * With Publisher=rfc2136 the server that gets the updates is asked, else the
 * servers that the zone is verified at. A value is missing unless all that
 * answer have it, and is to go if one of them has it. Where none answers,
 * everything wanted is added (which does no harm where it is there already) and
 * a note says so.
 *
 * Return: 0; PUBLISH_E_NAME with *reterr: a domain whose owner is too long;
 * negative errno.
 */
int publish_plan(struct dns_lookup *lookup, const struct zones *zones,
                 const struct publish_want *wants, size_t n,
                 const struct publish_rules *rules, struct publish_plan *ret,
                 struct errmsg *reterr) MUST_CHECK;
#define PUBLISH_E_NAME 1

/**
 * publish_decide() - the part of it without a network, for one domain
 * @written: what was found at zone_write_owner()
 * @owner:   what was found at zone_owner(), with AliasZone=; else NULL
 *
 * Adds to @plan. Return: 0; PUBLISH_E_NAME; -ENOMEM.
 */
int publish_decide(const struct publish_want *want, const struct zone *zone,
                   const struct dns_result *written,
                   const struct dns_result *owner,
                   const struct publish_rules *rules, struct publish_plan *plan,
                   struct errmsg *reterr) MUST_CHECK;

/* publish_progress_fn - called after each change that was tried. */
typedef void (*publish_progress_fn)(const struct publish_change *c,
                                    void *userdata);

/**
 * publish_apply() - make the changes, each zone by its publisher
 *
 * For every zone that needs a TSIG key a child of its own is forked, and the
 * key read after that: no server of another zone is ever spoken to by a process
 * that has it. No other secret may be in memory.
 *
 * Changes of one owner are made together or not at all (RFC 2136), additions
 * before removals (a hook). When one is refused the others are made: the state
 * of each change says what is there now.
 *
 * Return: 0: every change was tried, look at the states; negative errno: those
 * that are PENDING were not.
 */
int publish_apply(struct publish_plan *p, const struct dns_child_options *dns,
                  publish_progress_fn progress, void *userdata) MUST_CHECK;

/* publish_count() - changes in a state. */
size_t publish_count(const struct publish_plan *p, enum publish_state s);

/* publish_format_change() - a line for a person or a zone file, appended:
 * "add OWNER. TTL IN TXT "..."" without a newline. */
int publish_format_change(const struct publish_change *c,
                          struct buf *ret) MUST_CHECK;

/* publish_bind_policy() - the grant for one owner in BIND's update-policy:
 * "grant KEY name OWNER. TXT;" without a newline, appended. */
int publish_bind_policy(const struct zone *z, const char *owner,
                        struct buf *ret) MUST_CHECK;
