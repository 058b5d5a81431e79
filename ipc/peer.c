/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <systemd/sd-login.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define GIDS_MAX 65536 /* NGROUPS_MAX of Linux */
#define STAT_MAX 1024
#define STAT_STARTTIME 22 /* proc(5) */

bool peer_has_gid(const struct peer *p, gid_t gid)
{
    for (size_t i = 0; i < p->n_gids; i++) {
        if (p->gids[i] == gid)
            return true;
    }
    return false;
}

struct peer *peer_free(struct peer *p)
{
    if (!p)
        return NULL;
    free(p->gids);
    free(p->unit);
    free(p);
    return NULL;
}

/* Return: 0 or errno, with ERANGE the length that is needed in *len. */
static int get_groups(int fd, gid_t *gids, socklen_t *len)
{
    return getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, len) < 0 ? errno : 0;
}

static int peer_set_groups(struct peer *p, const gid_t *gids, size_t n)
{
    p->gids = reallocarray(NULL, n + 1, sizeof(gid_t));
    if (!p->gids)
        return -ENOMEM;
    p->gids[0] = p->gid;
    p->n_gids = 1;
    for (size_t i = 0; i < n; i++) {
        if (!peer_has_gid(p, gids[i]))
            p->gids[p->n_gids++] = gids[i];
    }
    return 0;
}

static int peer_read_groups(struct peer *p, int fd)
{
    CLEANUP_FREE gid_t *many = NULL;
    gid_t few[32];
    socklen_t len = sizeof(few);
    int e;

    e = get_groups(fd, few, &len);
    if (e == 0)
        return peer_set_groups(p, few, len / sizeof(gid_t));
    if (e != ERANGE || len > GIDS_MAX * sizeof(gid_t))
        return -e;
    many = malloc(len);
    if (!many)
        return -ENOMEM;
    e = get_groups(fd, many, &len);
    return e ? -e : peer_set_groups(p, many, len / sizeof(gid_t));
}

/*
 * Return: 0 with a pidfd, or with -1 when the peer has exited; negative errno.
 */
static int open_pidfd(int fd, pid_t pid, bool use_peerpidfd, int *ret_pidfd,
                      bool *ret_pinned)
{
    int pidfd = -1;
    socklen_t len = sizeof(pidfd);

    *ret_pinned = true;
    if (use_peerpidfd) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0) {
            *ret_pidfd = pidfd;
            return 0;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            return -errno;
    }
    if (!use_peerpidfd || errno == ENOPROTOOPT) {
        *ret_pinned = false;
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0 &&
            (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
            return -errno;
    }
    *ret_pidfd = pidfd;
    return 0;
}

/* A pidfd is readable once its process has exited, reaped or not. */
static bool is_alive(int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };

    return poll(&p, 1, 0) == 0;
}

/* The 22nd field of /proc/PID/stat, in clock ticks since boot. The second, the
 * command, may hold anything, so counting starts behind its last bracket. */
static int parse_start_ticks(char *stat, uint64_t *ret)
{
    char *p = strrchr(stat, ')');
    char *end;
    int field = 2;

    for (; p && field < STAT_STARTTIME; field++)
        p = strchr(p + 1, ' ');
    if (!p)
        return -EBADMSG;
    errno = 0;
    *ret = strtoull(p + 1, &end, 10);
    return errno != 0 || *end != ' ' ? -EBADMSG : 0;
}

static int read_start_us(pid_t pid, uint64_t *ret_us)
{
    CLEANUP_FD int fd = -1;
    char path[64];
    char stat[STAT_MAX + 1];
    uint64_t ticks;
    long hz = sysconf(_SC_CLK_TCK);
    ssize_t n;
    int r;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = read(fd, stat, STAT_MAX);
    if (n < 0)
        return -errno;
    stat[n] = 0;
    r = parse_start_ticks(stat, &ticks);
    if (r)
        return r;
    /* The tick is rounded down: the process is at most one younger. */
    *ret_us = (ticks + 1) * (1000000 / (uint64_t)hz);
    return 0;
}

static bool started_before(pid_t pid, uint64_t moment_us)
{
    uint64_t start_us = 0;

    return moment_us > 0 && read_start_us(pid, &start_us) == 0 &&
           start_us <= moment_us;
}

/* Nothing that fails here refuses the peer; it only has no unit then. */
static int peer_read_unit(struct peer *p, int fd, bool use_peerpidfd,
                          uint64_t after_us)
{
    CLEANUP_FREE char *unit = NULL;
    CLEANUP_FD int pidfd = -1;
    bool certain;
    int r;

    if (p->pid <= 0)
        return 0;
    r = open_pidfd(fd, p->pid, use_peerpidfd, &pidfd, &certain);
    if (r)
        return r;
    if (pidfd < 0)
        return 0;
    r = sd_pid_get_unit(p->pid, &unit);
    if (r < 0)
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : 0;
    if (!certain)
        certain = started_before(p->pid, after_us);
    /* Last: all that was read above was of this process only if it lives. */
    if (!is_alive(pidfd))
        return 0;

    p->unit = TAKE_PTR(unit);
    p->unit_certain = certain;
    return 0;
}

int peer_new_connected_after(int fd, bool use_peerpidfd, uint64_t after_us,
                             struct peer **ret)
{
    CLEANUP_PEER struct peer *p = NULL;
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int r;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    p = malloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = (struct peer){ .uid = cred.uid, .gid = cred.gid, .pid = cred.pid };
    r = peer_read_groups(p, fd);
    if (r == 0)
        r = peer_read_unit(p, fd, use_peerpidfd, after_us);
    if (r)
        return r;

    *ret = TAKE_PTR(p);
    return 0;
}

int peer_new(int fd, bool use_peerpidfd, struct peer **ret)
{
    return peer_new_connected_after(fd, use_peerpidfd, 0, ret);
}
