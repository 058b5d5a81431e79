/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"

/**
 * net_confine_starter() - before the fork, in the process that starts it
 *
 * Where the child keeps its user (that is not root's), only this keeps it from
 * writing to the memory of who started it: /proc/PID/mem needs no ptrace(2).
 * As a side effect there are no core dumps, with what secrets may be in them.
 *
 * Return: 0; negative errno.
 */
int net_confine_starter(void) MUST_CHECK;

/**
 * net_confine() - what the network child gives up, before its first byte
 * @fd: the only descriptor that stays, beside 0, 1 and 2 on /dev/null
 *
 * From then on it opens files for reading only and changes none.
 *
 * Return: 0; negative errno, and the child must not go on.
 */
int net_confine(int fd) MUST_CHECK;
