/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/settings.h"

/* module_env_set() - nothing of ours is a module's business: its environment is
 * PATH and what Environment= names, which must live as long as the process.
 * Return: 0; -ENOMEM. */
int module_env_set(const struct settings_token *token) MUST_CHECK;
