/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-progress.h"
#include "client-shim/ctl-records.h"
#include "client-shim/dns-lookup.h"
#include "client-shim/records-kept.h"

/*
 * What commands about published records share: the files of the zones, the
 * process that speaks DNS, and the values that should stand there. Functions
 * return exit codes; errors are printed.
 */

struct ctl_dns {
    struct zones *zones;
    struct dns_child *child;
    struct dns_lookup *lookup;
};
#define CLEANUP_CTL_DNS CLEANUP(ctl_dns_close)
void ctl_dns_close(struct ctl_dns *d);

/* ctl_dns_zones() - zones.d alone. @client: of a command for clients, who may
 * not be able to read it: then it is as if there were no files. */
int ctl_dns_zones(const struct ctl_context *c, bool client,
                  struct zones **ret) MUST_CHECK;

/* ctl_dns_open() - no secret may be in memory yet. */
int ctl_dns_open(const struct ctl_context *c, struct ctl_dns *ret) MUST_CHECK;

/* ctl_dns_secrets() - before zones are changed: TSIG keys will be read. */
int ctl_dns_secrets(const struct ctl_context *c) MUST_CHECK;

/* ctl_dns_many() - dns_lookup_many() with a progress bar; @p may be NULL. */
int ctl_dns_many(const struct ctl_dns *d, const struct dns_wanted *wanted,
                 size_t n, struct ctl_progress *p,
                 struct dns_result **ret) MUST_CHECK;

/* So many names are looked up at once; their results are in memory. */
#define CTL_DNS_BATCH 1000

/*
 * ctl_records_filter() - --account and --domain of a command, whose name goes
 * to @space.
 */
int ctl_records_filter(const struct ctl_context *c,
                       char space[static DNS_NAME_MAX + 1],
                       struct records_filter *ret) MUST_CHECK;

/* ctl_records_keep() - every value of the filter, sorted. The first account
 * that is not proven ends it. */
int ctl_records_keep(const struct ctl_context *c,
                     const struct records_filter *filter,
                     struct records_kept *ret) MUST_CHECK;

/* ctl_records_users() - the accounts that have records of the filter, as keys
 * of an object. */
int ctl_records_users(const struct ctl_context *c,
                      const struct records_filter *filter,
                      json_t **ret) MUST_CHECK;

/* ctl_dns_text() - octets from DNS as a JSON string: UTF-8 or not. */
json_t *ctl_dns_text(struct bytes text);
