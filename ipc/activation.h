/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/errmsg.h"

/*
 * Listening sockets: handed over by systemd, told apart by FileDescriptorName=,
 * or created by ourselves.
 *
 *   client, client@INSTANCE   Varlink, org.acmeguardian.Signer
 *   admin                     Varlink, org.acmeguardian.Admin
 *   lacme@NAME                the lacme-accountd line protocol
 */

enum activation_kind {
    ACTIVATION_UNSET = 0,
    ACTIVATION_CLIENT,
    ACTIVATION_ADMIN,
    ACTIVATION_LACME,
};

struct activation_socket {
    enum activation_kind kind;
    int fd;
    char *instance; /* or NULL */
};

struct activation {
    struct activation_socket *sockets;
    size_t n_sockets;
};

#define ACTIVATION_E_INVALID 1

/*
 * activation_take() - all sockets of $LISTEN_FDS, which is unset then
 *
 * An unknown or repeated name, or a descriptor that is not a listening Unix
 * stream socket, is an error that names it. No sockets at all is none.
 */
int activation_take(struct activation *ret, struct errmsg *reterr) MUST_CHECK;
void activation_deinit(struct activation *a);

/**
 * activation_listen() - create a listening Unix stream socket
 * @mode:  of the socket file; set before anybody can connect
 * @owner: chown to this uid, or (uid_t)-1
 *
 * A stale socket file, one that refuses connections, is replaced; a live one is
 * -EADDRINUSE.
 */
int activation_listen(const char *path, mode_t mode, uid_t owner, int *ret_fd,
                      struct errmsg *reterr) MUST_CHECK;
