/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

/*
 * listen_all() - the sockets that systemd passed, and our own for those that
 * it did not: client, admin, and each [Lacme NAME] with Socket=.
 *
 * Return: 0; negative errno with *reterr.
 */
int listen_all(struct guardian *g, struct errmsg *reterr) MUST_CHECK;
