/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-records.h"
#include "client-shim/records-ours.h"

/* Our accounts, as the daemon says, with their earlier keys where these are
 * needed. */
struct ctl_ours {
    json_t *accounts;  /* by name */
    json_t *keys;      /* of TokenCheck; NULL: not asked for */
    json_t *rotations; /* likewise, of RotationStatus */
    struct ours all;
};
void ctl_ours_deinit(struct ctl_ours *o);

/**
 * ctl_ours_load()
 * @with_earlier: ask tokens for the keys that accounts had before, which the
 *                registry does not keep, and the daemon for those that a
 *                rotation will give them. Only where an account's records are
 *                key-bound; a token that does not answer is told of.
 */
int ctl_ours_load(const struct ctl_context *c, bool with_earlier,
                  struct ctl_ours *ret) MUST_CHECK;
