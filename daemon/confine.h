/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"

/**
 * confine_process() - give up what the daemon never needs
 *
 * No new privileges (the helper is spawned as it is), no core dumps and no
 * ptrace by the same user, no descriptors but the standard ones and those that
 * systemd passed. Called before the first byte of input is read.
 *
 * Return: 0; negative errno.
 */
int confine_process(void) MUST_CHECK;
