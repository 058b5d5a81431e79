/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-records-dns.h"
#include "client-shim/ctl-records-ours.h"
#include "client-shim/net-answer.h"
#include "client-shim/publish-own.h"

/*
 * records revoke: the complete path back, in steps. Each says that it is done
 * or what is left; the record itself is forgotten last, so that whatever ends a
 * run, the next one finds everything that is left to do.
 *
 *   ctl-records-revoke.c  the steps in their order
 *   revoke-dns.c          out of DNS, and the wait until it is
 *   revoke-ca.c           authorizations that the CA still has
 *
 * Functions return exit codes: CTL_EXIT_DONE to go on, or what ends the run.
 */

enum revoke_state {
    REVOKE_UNSET = 0,
    REVOKE_DONE,
    REVOKE_LATER,   /* left: run it again */
    REVOKE_BY_HAND, /* left for a person, then run it again */
};

struct revoke {
    const struct ctl_context *c;
    char domain[DNS_NAME_MAX + 1];
    char owner[ZONE_OWNER_MAX];
    uint64_t wait_s;
    struct ctl_dns dns;
    struct ctl_ours ours;
    struct records_kept records; /* of the domain, without values */
    struct publish_own own;
    uint32_t ttl_s; /* of what was seen published */
    bool seen;      /* something was */
    json_t *steps;  /* with --json */
    json_t *plan;   /* likewise, of what was to be removed; NULL: not made */
    enum revoke_state worst;
};

/* revoke_step() - say what became of a step. */
void revoke_step(struct revoke *r, const char *step, enum revoke_state state,
                 const char *fmt, ...) PRINTF(4, 5);

/* revoke-dns.c */
int revoke_unpublish(struct revoke *r) MUST_CHECK;
int revoke_wait_gone(struct revoke *r) MUST_CHECK;

enum revoke_presence {
    REVOKE_PRESENCE_UNSET = 0,
    REVOKE_GONE,    /* every server says that it is not there */
    REVOKE_THERE,   /* one has it */
    REVOKE_UNKNOWN, /* none has it, but one does not tell */
};

/**
 * revoke_look() - is a value of ours published? Pure.
 * @own:      sorted
 * @ret_ttl:  the longest of those that are there
 * @ret_view: that has it, or does not tell; NULL if REVOKE_GONE or nobody was
 *            asked
 */
enum revoke_presence revoke_look(const struct dns_result *result,
                                 struct publish_own *own, uint32_t *ret_ttl,
                                 const struct dns_view **ret_view);

/* revoke-ca.c */
int revoke_authorizations(struct revoke *r) MUST_CHECK;

/* revoke_may_end() - is this an authorization of exactly that name that can be
 * used, and that nobody is working on? Pure. */
bool revoke_may_end(const struct net_authz *z, const char *domain,
                    bool wildcard);
