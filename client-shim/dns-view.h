/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-lookup.h"

/* From an answer to a view. Pure. */

#define DNS_CHAIN_MAX 16

/**
 * dns_view_fill() - what an answer says about v->name
 * @v:    with resolver, zone and name; the rest is written
 * @type: that was asked for
 *
 * Without v->resolver the answer must be authoritative for v->zone, and what
 * stands in another zone is DNS_ALIAS or DNS_DELEGATED.
 *
 * Return: 0; -ENOMEM.
 */
int dns_view_fill(struct dns_view *v, const struct dns_answer *a,
                  enum dns_type type) MUST_CHECK;

/* dns_view_end() - the name at which its values stand: the last of its chain,
 * or its own. */
const char *dns_view_end(const struct dns_view *v);

void dns_view_deinit(struct dns_view *v);
