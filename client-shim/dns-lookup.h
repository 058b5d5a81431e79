/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-child.h"
#include "client-shim/zones.h"

/*
 * What is published at a name: at every authoritative server of its zone,
 * through a resolver, or both, as the zone's file says. Many names at once;
 * several questions are always under way.
 *
 * A server that does not answer the first few questions is not asked the rest:
 * its views are DNS_TIMEOUT at once.
 */

enum dns_security {
    DNS_SECURITY_UNKNOWN = 0, /* no answer */
    DNS_SECURITY_UNSIGNED,
    DNS_SECURITY_SIGNED,       /* there are signatures; nobody checked them */
    DNS_SECURITY_AD_UNTRUSTED, /* a resolver elsewhere says that they are good
                                  (AD), or somebody on the way (RFC 6840
                                  section 5.8) */
    DNS_SECURITY_VALIDATED,    /* the resolver on this host says so */
    DNS_SECURITY_BOGUS,        /* the resolver says that they are not */
};
const char *dns_security_word(enum dns_security s);

/* A record's data, owned by its view. */
struct dns_value {
    struct buf rdata; /* TXT: strings with lengths; CAA: empty */
    struct buf text;  /* TXT: joined; CAA: the value */
    char *tag;        /* CAA; NULL for TXT */
    uint32_t number;  /* CAA: its flags */
};

/* What one server says about one name. */
struct dns_view {
    bool resolver; /* else an authoritative server */
    char *server;  /* "ns1.example.net (192.0.2.1)", "192.0.2.1", "resolver" */
    char *zone;    /* whose server it is; NULL for a resolver */
    char *name;    /* asked for: the lookup's, or where a CNAME led */
    enum dns_status status;
    char text[DNS_TEXT_MAX + 1]; /* more about a failure, or empty */
    char *target; /* DNS_ALIAS: where it leads; DNS_DELEGATED: which zone */
    /* The CNAMEs followed within this answer, NULL-ended; NULL: none. The
     * values stand at the last of them. */
    char **chain;
    struct dns_value *values; /* DNS_OK */
    size_t n_values;
    uint32_t ttl_s; /* DNS_OK: of the values; DNS_NODATA, DNS_NXDOMAIN: for how
                       long caches believe it */
    enum dns_security security;
};

/*
 * All views, in the order of servers: first at the name's own zone; where these
 * are DNS_ALIAS or DNS_DELEGATED, then those of the zone that they lead to, and
 * so on. Only views with another status tell something about the records.
 */
struct dns_result {
    char *name; /* looked up */
    enum dns_type type;
    struct dns_view *views;
    size_t n_views;
};

/* dns_view_final() - not one that only leads on. */
bool dns_view_final(const struct dns_view *v);
/* dns_view_tells() - final and known: it says what is published. */
bool dns_view_tells(const struct dns_view *v);
bool dns_result_tells(const struct dns_result *r); /* one of its views does */

enum dns_agreement {
    DNS_AGREEMENT_UNSET = 0,
    DNS_AGREE,    /* all final views are known, and have the same values */
    DNS_DISAGREE, /* two known ones differ */
    DNS_PARTLY,   /* those that are known agree, but some are not */
    DNS_NOBODY,   /* none is known */
};
enum dns_agreement dns_result_agreement(const struct dns_result *r);

struct dns_lookup;

/**
 * dns_lookup_new() - keeps what it learns about zones and servers
 * @child, @zones: borrowed for as long as it lives; @zones may be NULL
 */
int dns_lookup_new(struct dns_child *child, const struct zones *zones,
                   struct dns_lookup **ret) MUST_CHECK;
struct dns_lookup *dns_lookup_free(struct dns_lookup *l);
DEFINE_CLEANUP(struct dns_lookup *, dns_lookup_free)
#define CLEANUP_DNS_LOOKUP CLEANUP(dns_lookup_free_p)

struct dns_wanted {
    const char *name;
    /* Whose Verify=, Servers= and Resolver= count; NULL: by the name, and where
     * no file is for it, its zone's servers as NS say. */
    const struct zone *zone;
    /* Only this server, and no CNAME is followed out of its answer; family 0:
     * as the zone says. */
    struct dns_server only;
    enum dns_type type; /* DNS_TYPE_TXT or DNS_TYPE_CAA */
};

/* dns_lookup_progress_fn - called after each that is done. */
typedef void (*dns_lookup_progress_fn)(size_t n_done, size_t n, void *userdata);

/**
 * dns_lookup_many() - all at once
 * @ret:      @n results, in the order of @wanted
 * @progress: may be NULL
 *
 * Nothing that a server does makes it fail.
 *
 * Return: 0; negative errno: the child is gone, no memory. After that @l can
 * only be freed.
 */
int dns_lookup_many(struct dns_lookup *l, const struct dns_wanted *wanted,
                    size_t n, struct dns_result **ret,
                    dns_lookup_progress_fn progress, void *userdata) MUST_CHECK;

/* dns_lookup() - one. dns_result_deinit() after. */
int dns_lookup(struct dns_lookup *l, const struct dns_wanted *wanted,
               struct dns_result *ret) MUST_CHECK;

void dns_result_deinit(struct dns_result *r);
struct dns_result *dns_results_free(struct dns_result *r, size_t n);
