/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"

/*
 * The last thing before a process ends that only a changed configuration can
 * help, and that systemd therefore does not start again.
 */

/* As long as RestartSec= of the units: whoever connects again and again starts
 * us no more often than a failure of another kind would. */
#define TURN_AWAY_MS 2000

/**
 * turn_away() - for @ms, close what comes in on the listening sockets that
 * systemd passed
 *
 * Clients get an end where they would wait for ever. And a connection that
 * nobody takes would have systemd start us again at once, and again: the socket
 * unit looks at it anew as soon as we have ended.
 *
 * Without such sockets it returns at once.
 */
void turn_away(uint64_t ms);
