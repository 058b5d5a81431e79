/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

/**
 * reload_policy() - policy files, [Deny] and [Roles] anew, all or nothing
 *
 * Return: 0; POLICY_E_INVALID or negative errno with *reterr, and everything
 * stays as it was.
 */
int reload_policy(struct guardian *g, struct errmsg *reterr) MUST_CHECK;
