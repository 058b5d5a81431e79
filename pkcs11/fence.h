/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"
#include "base/settings.h"

/**
 * fence_calls() - the helper and its workers make no system calls but those
 * that serving @token needs (base/filter.h)
 *
 * What modules need differs: SystemCalls= and WritableCode= of the section
 * widen it. A sealed store has no module: it gets less, and these do not count.
 *
 * Return: 0; negative errno with *reterr.
 */
int fence_calls(const struct settings_token *token,
                struct errmsg *reterr) MUST_CHECK;
