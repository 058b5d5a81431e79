/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"

/*
 * What every process of ours gives up before it reads its first byte from
 * outside. What only systemd can take away stands in the units.
 */

/**
 * confine_process() - no new privileges, no core dumps, not traceable by the
 * own user's other processes, SIGPIPE ignored
 *
 * Return: 0; negative errno with *reterr.
 */
int confine_process(struct errmsg *reterr) MUST_CHECK;

/* confine_close_fds() - close everything above stderr but @keep (-1: nothing).
 * Return: 0; negative errno. */
int confine_close_fds(int keep) MUST_CHECK;
