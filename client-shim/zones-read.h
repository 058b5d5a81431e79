/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/config.h"
#include "client-shim/zones.h"

/* The values of one [Zone] section, and whether they go together. For zones.c.
 */

extern const struct config_schema zones_schema[];

/* zones_read() - into @z, which has its file and line. Return: 0;
 * CONFIG_E_INVALID with *reterr; -ENOMEM. */
int zones_read(struct zone *z, const struct config_section *s, const char *stem,
               struct errmsg *reterr) MUST_CHECK;

void zone_deinit(struct zone *z);
