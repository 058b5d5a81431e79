/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"

/*
 * Who is at the other end of a Unix socket: from the kernel (SO_PEERCRED,
 * SO_PEERGROUPS, SO_PEERPIDFD) and the cgroup, never from a message.
 *
 * The unit is read from the peer's cgroup. That is only worth something while
 * the pid still names the process that connected: with SO_PEERPIDFD (Linux 6.5)
 * the pidfd pins it; without, a pidfd is opened at accept, and the unit counts
 * as a hint unless the process is alive and older than the connection after the
 * cgroup was read. unit_certain tells the two apart.
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

/* peer_has_gid() - primary or supplementary. */
bool peer_has_gid(const struct peer *p, gid_t gid);

struct peer *peer_free(struct peer *p);
DEFINE_CLEANUP(struct peer *, peer_free)
#define CLEANUP_PEER CLEANUP(peer_free_p)
