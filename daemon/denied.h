/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"
#include "policy/policy.h"

/* Names that operators denied (NameDeny), in memory as in the registry. */
struct denied {
    struct store_denied *items; /* by name */
    size_t n;
};

/* denied_load() - read from the registry. */
int denied_load(struct denied *d, struct store *store) MUST_CHECK;
void denied_deinit(struct denied *d);

/**
 * denied_apply() - in force in @policy, instead of those that were
 *
 * Return: 0; POLICY_E_INVALID or -ENOMEM with *reterr (may be NULL): nothing
 * has changed.
 */
int denied_apply(const struct denied *d, struct policy_set *policy,
                 struct errmsg *reterr) MUST_CHECK;

/**
 * denied_renew() - what the registry has now, in memory and in force
 *
 * Return: 0; POLICY_E_INVALID or negative errno with *reterr: nothing has
 * changed in either.
 */
int denied_renew(struct denied *d, struct store *store,
                 struct policy_set *policy, struct errmsg *reterr) MUST_CHECK;

/**
 * denied_has() - is this domain, or one above it, denied in @policy?
 *
 * By NameDeny or by [Deny].
 */
bool denied_has(const struct policy_set *policy, const char *domain);

/**
 * denied_say() - which name keeps @domain from being used, since when, and what
 * undoes that
 *
 * False: it is not denied.
 */
bool denied_say(const struct denied *d, const struct policy_set *policy,
                const char *domain, struct errmsg *ret);
