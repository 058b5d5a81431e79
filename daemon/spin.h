/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

/*
 * Adaptive waiting. Most of the time of a single request goes by between two
 * processes, while the kernel wakes the one that waits. So after each turn of
 * the event loop the daemon goes on looking for a short while, but only where
 * something is due: the reply to the one request that a token works on, and
 * after the answer the next request of the same client. Who looked in vain
 * looks less often. Nobody else is kept waiting for longer than SPIN_TURN_US.
 */

#define SPIN_TOKEN_US 100
#define SPIN_CLIENT_US 50
#define SPIN_TURN_US 1000
#define SPIN_SKIP_MAX 64

/* spin_after_turn() - Return: 0; negative errno of the event loop. */
int spin_after_turn(struct guardian *g) MUST_CHECK;
