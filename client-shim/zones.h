/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/dns-name.h"
#include "base/errmsg.h"
#include "base/secret.h"
#include "client-shim/dns-server.h"

/*
 * zones.d/NAME.zone (acme-guardian.zone(5)): how the records of a zone are
 * published, and where it is looked up what is published. A zone without a file
 * is published by hand and looked up at its own servers.
 */

enum zone_publisher {
    ZONE_PUBLISHER_UNSET = 0,
    ZONE_RFC2136,
    ZONE_HOOK,
    ZONE_MANUAL, /* the default */
};

enum zone_verify {
    ZONE_VERIFY_UNSET = 0,
    ZONE_VERIFY_AUTHORITATIVE, /* the default */
    ZONE_VERIFY_RESOLVER,
    ZONE_VERIFY_BOTH,
};

enum zone_tsig {
    ZONE_TSIG_UNSET = 0,
    ZONE_HMAC_SHA256, /* the default */
    ZONE_HMAC_SHA512,
};

#define ZONE_SERVERS_MAX 16
#define ZONE_TTL_DEFAULT_S 3600
#define ZONE_TTL_MAX_S (7 * 24 * 3600)

struct zone {
    char *name; /* lower case, no trailing dot */
    char *file; /* for messages */
    unsigned line;
    enum zone_publisher publisher;
    struct dns_server server; /* Server=; family 0: none */
    char *tsig_name;          /* TsigName=, lower case; NULL: none */
    enum zone_tsig tsig_algorithm;
    char *tsig_key;   /* TsigKey= as written, where the key is; NULL: none */
    char *alias_zone; /* AliasZone=; NULL: records stand at their owner */
    uint32_t ttl_s;
    char *hook;      /* absolute path; NULL: none */
    char *hook_user; /* HookUser=; NULL: none */
    enum zone_verify verify;
    struct dns_server *servers; /* Servers=, at most ZONE_SERVERS_MAX */
    size_t n_servers;           /* 0: those of the zone's NS */
    struct dns_server resolver; /* Resolver=; family 0: /etc/resolv.conf */
};

/* Sorted by name; pointers to them are good until another is added. */
struct zones {
    struct zone *items;
    size_t n;
};

/**
 * zones_load() - read and check every *.zone of a directory
 * @dir: DIR/zones.d; no zones if it is not there
 *
 * Files and directory are root's (or this process's user's) and writable by
 * their owner alone, since they say who gets a TSIG key. All or nothing. Keys
 * stay where they are: see zone_read_key().
 *
 * Return: 0; CONFIG_E_INVALID with *reterr; negative errno with *reterr.
 */
int zones_load(const char *dir, struct zones **ret,
               struct errmsg *reterr) MUST_CHECK;

/* zones_parse() - one file's text, added; for zones_load() and tests. @stem is
 * the default of Name=. Return: as zones_load(). */
int zones_parse(struct zones *z, struct bytes text, const char *file,
                const char *stem, struct errmsg *reterr) MUST_CHECK;

struct zones *zones_free(struct zones *z);
DEFINE_CLEANUP(struct zones *, zones_free)
#define CLEANUP_ZONES CLEANUP(zones_free_p)

/* zones_find_name() - the zone with the longest name that is @name or above it;
 * NULL: none. */
const struct zone *zones_find_name(const struct zones *z, const char *name);

/*
 * zones_find() - the zone in which the records of a domain stand: that of
 * _validation-persist.DOMAIN, which can be delegated by itself. NULL: none.
 */
const struct zone *zones_find(const struct zones *z, const char *domain);

#define ZONE_OWNER_MAX 1024

/* zone_owner() - _validation-persist.DOMAIN. Return: 0; ZONE_E_LONG. */
int zone_owner(const char *domain, char ret[static ZONE_OWNER_MAX]) MUST_CHECK;
#define ZONE_E_LONG 1

/**
 * zone_write_owner() - the name at which the records of a domain are written
 * @z: as zones_find() said, or NULL
 *
 * With AliasZone= that is DOMAIN.ALIASZONE, to which zone_owner() must be a
 * CNAME, else zone_owner() itself.
 *
 * Return: 0; ZONE_E_LONG if there is no such name (over 253 octets).
 */
int zone_write_owner(const struct zone *z, const char *domain,
                     char ret[static ZONE_OWNER_MAX]) MUST_CHECK;

/* zone_write_zone() - the zone that is changed: AliasZone=, else the zone. */
const char *zone_write_zone(const struct zone *z);

/* zone_covers() - @name is @zone or below it; both lower case. */
bool zone_covers(const char *zone, const char *name);

/**
 * zone_read_key() - the TSIG key, decoded
 *
 * Read when it is needed, and never before a DNS child is forked that does not
 * need it.
 *
 * Return: 0; CONFIG_E_INVALID with *reterr (not base64, empty, over
 * ZONE_KEY_MAX); as credential_read() otherwise.
 */
int zone_read_key(const struct zone *z, struct secret **ret,
                  struct errmsg *reterr) MUST_CHECK;
#define ZONE_KEY_MAX 512
