/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"

/**
 * isolate_process() - give up what the daemon never needs
 *
 * What confine_process() gives up (the helper is spawned as confined as we
 * are), and all descriptors but the standard ones and those that systemd
 * passed. Called before the first byte of input is read.
 *
 * Return: 0; negative errno with *reterr.
 */
int isolate_process(struct errmsg *reterr) MUST_CHECK;
