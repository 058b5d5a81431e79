/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/settings.h"
#include "ipc/peer.h"
#include "policy/policy.h"

/* What an operator may do: each role may also do what those before it may. */
enum role {
    ROLE_NONE = 0,
    ROLE_MONITOR, /* look */
    ROLE_OPS,     /* what timers need */
    ROLE_ADMIN,
};

/* [Roles] of guardian.conf. All zero: uid 0 alone. */
struct roles {
    char **users[ROLE_ADMIN + 1]; /* by role; NULL-ended, may be NULL */
    char **groups[ROLE_ADMIN + 1];
};

/* roles_take() - moves the lists out of @settings; frees what was there. */
void roles_take(struct roles *r, struct settings *settings);
void roles_deinit(struct roles *r);

/* roles_of() - the highest role of a peer; uid 0 is admin. Names are resolved
 * now, through @names. */
enum role roles_of(const struct roles *r, const struct peer *peer,
                   const struct policy_names *names);

const char *role_name(enum role role); /* "monitor" */
