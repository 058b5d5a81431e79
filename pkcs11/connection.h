/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/errmsg.h"

/**
 * connection_take() - the one connection that this helper serves
 * @fd:              the number given with --fd, or -1: from socket activation,
 * a connection, or a listening socket of which one is accepted
 * @ret_unseparated: the peer runs as our own user
 *
 * An activated socket serves root, our own user, and the owner of the socket
 * file, whatever the file's mode lets in.
 *
 * Return: 0; CONNECTION_E_REFUSED, CONNECTION_E_NONE, negative errno, with
 * *reterr; CONNECTION_E_NOBODY when those who connected have gone and for
 * CONNECTION_PATIENCE_MS nobody came: end, the next one starts a helper again.
 */
int connection_take(int fd, int *ret_fd, bool *ret_unseparated,
                    struct errmsg *reterr) MUST_CHECK;
#define CONNECTION_E_REFUSED 1
#define CONNECTION_E_NONE 2
#define CONNECTION_E_NOBODY 3
#define CONNECTION_PATIENCE_MS 5000
