/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libpsl.h>

#include "acme/reason.h"
#include "policy/name-index.h"

/*
 * Subdomains= and Wildcard= on a public suffix would grant names of other
 * people: everything under co.uk, or every customer's site of a provider.
 */

/**
 * suffix_check() - may all names below @name be granted?
 * @name:  has passed dns_name_check()
 * @allow: AllowSuffix= of the rule set
 *
 * Never for a suffix of the list's ICANN section. For one of its private
 * section @name itself has to be in @allow; for a name under no listed
 * top-level domain, @name or a name above it.
 *
 * Return: 0; REFUSED, the detail says why.
 */
int suffix_check(const psl_ctx_t *psl, const char *name,
                 const struct name_index *allow,
                 struct refusal *ret_refusal) MUST_CHECK;
