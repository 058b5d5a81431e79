/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/adopt-find.h"

/* adopt_read() - what stands beside @mark: where the key is, and the account's
 * URLs. Of @f, kind is set. Return: as adopt_find(). */
int adopt_read(struct owner_files *o, const char *mark, struct adopt_found *f,
               struct errmsg *reterr) MUST_CHECK;
