/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/publish.h"

#define PUBLISH_HOOK_S 300 /* so long a hook may take for one change */

/* publish_hook_run() - one change; sets its state and text. Return: 0; negative
 * errno: it was not tried. */
int publish_hook_run(struct publish_change *c) MUST_CHECK;
