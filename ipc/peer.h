/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

/*
 * Who is at the other end of a Unix socket: from the kernel (SO_PEERCRED,
 * SO_PEERGROUPS, SO_PEERPIDFD) and the cgroup, never from a message.
 *
 * The unit is read from the cgroup of the peer's pid. That is only worth
 * something while the pid still names the process that connected:
 *
 * - SO_PEERPIDFD (Linux 6.5) pins that process. If it has not exited after the
 *   cgroup was read, the unit is certain.
 * - Without, a pidfd is opened at accept. If its process has not exited after
 *   the cgroup was read, the unit is that of one process, but perhaps of one
 *   that got the pid after the peer had connected and died. It is certain if
 *   the process is older than the connection: started before a moment when
 *   nobody waited to be accepted. Otherwise it is a hint, worth nothing without
 *   the uid (which the kernel keeps with the connection).
 * - A peer that has exited, or has no pid here (another pid namespace), has no
 *   unit.
 *
 * Needs /proc/PID/cgroup of all peers: no ProtectProc=invisible.
 */
struct peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    gid_t *gids; /* primary and supplementary, no duplicates */
    size_t n_gids;
    char *unit; /* "caddy.service", or NULL: none, or not to be known */
    bool unit_certain;
};

/**
 * peer_new() - identify the peer of a connected Unix socket
 * @use_peerpidfd: false only in tests, to take the path of older kernels
 *
 * Return: 0; negative errno (a peer that cannot be identified is refused).
 */
int peer_new(int fd, bool use_peerpidfd, struct peer **ret) MUST_CHECK;

/**
 * peer_new_connected_after() - the same, with a bound on the connection's age
 * @after_us: CLOCK_BOOTTIME of a moment before the peer connected, at which
 *            accept() had nobody to return; 0: none is known, so without
 *            SO_PEERPIDFD the unit is never more than a hint
 */
int peer_new_connected_after(int fd, bool use_peerpidfd, uint64_t after_us,
                             struct peer **ret) MUST_CHECK;

/* peer_has_gid() - primary or supplementary. */
bool peer_has_gid(const struct peer *p, gid_t gid);

struct peer *peer_free(struct peer *p);
DEFINE_CLEANUP(struct peer *, peer_free)
#define CLEANUP_PEER CLEANUP(peer_free_p)
