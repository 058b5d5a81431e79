/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/settings.h"

/**
 * settings_diff() - what a running daemon does not take over from a new reading
 * @ret: NULL-ended words for people, "[Guardian] AuditKeep=" or, for a section
 *       that came or went, "[Token hsm]"; NULL if there are none. Free with
 *       settings_strv_free().
 *
 * [Roles] and [Deny] are left out: a reload takes them over.
 *
 * Return: 0; -ENOMEM.
 */
int settings_diff(const struct settings *before, const struct settings *now,
                  char ***ret) MUST_CHECK;
