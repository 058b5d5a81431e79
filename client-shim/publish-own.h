/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/publish.h"
#include "client-shim/records-kept.h"
#include "client-shim/records-ours.h"

/*
 * Which of the published values may be removed: those that name an account of
 * ours. A set of accounturi values, each with an issuer or with all of them.
 */

struct publish_own {
    char **items; /* "accounturi issuer", sorted by publish_own_sort() */
    size_t n;
};
#define CLEANUP_PUBLISH_OWN CLEANUP(publish_own_deinit)
void publish_own_deinit(struct publish_own *o);

/* publish_own_add() - @issuer NULL: whatever its issuer. Return: 0; -ENOMEM. */
int publish_own_add(struct publish_own *o, const char *accounturi,
                    const char *issuer) MUST_CHECK;

/**
 * publish_own_add_value() - what one record stands for
 *
 * What replaces it is a value of the same account and issuer. @old: instead of
 * that, values of an earlier key or of the other form, which stay until the new
 * ones have been seen.
 *
 * Return: 0; -ENOMEM.
 */
int publish_own_add_value(struct publish_own *o, const struct ours_account *a,
                          const struct kept_value *v, bool old) MUST_CHECK;

/* publish_own_add_account() - all that means this account at a domain, whatever
 * the issuer. Return: 0; -ENOMEM. */
int publish_own_add_account(struct publish_own *o, const struct ours_account *a,
                            const char *domain) MUST_CHECK;

/* publish_own_add_key() - what a key stands for at a domain, by itself and for
 * all domains. Return: 0; -ENOMEM. */
int publish_own_add_key(struct publish_own *o, const char *prefix,
                        const char *url, const char *domain,
                        const char *thumbprint) MUST_CHECK;

void publish_own_sort(struct publish_own *o);

/* publish_own_has() - a publish_own_fn; @userdata is the set, sorted. What
 * cannot be read is nobody's. */
bool publish_own_has(struct bytes value, void *userdata);
