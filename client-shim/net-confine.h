/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"

/**
 * net_confine() - what the network child gives up, before its first byte
 * @fd: the only descriptor that stays, beside 0, 1 and 2 on /dev/null
 *
 * Return: 0; negative errno, and the child must not go on.
 */
int net_confine(int fd) MUST_CHECK;
