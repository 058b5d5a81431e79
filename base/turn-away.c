/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/turn-away.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "base/log.h"

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool listens(int fd)
{
    return sd_is_socket(fd, AF_UNIX, 0, 1) > 0;
}

static size_t find_sockets(struct pollfd **ret)
{
    int n = sd_listen_fds(0);
    struct pollfd *fds;
    size_t found = 0;

    if (n <= 0)
        return 0;
    fds = calloc((size_t)n, sizeof(*fds));
    if (!fds)
        return 0;
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
        if (listens(fd))
            fds[found++] = (struct pollfd){ .fd = fd, .events = POLLIN };
    }
    *ret = fds;
    return found;
}

static size_t close_one_each(const struct pollfd *fds, size_t n)
{
    size_t closed = 0;

    for (size_t i = 0; i < n; i++) {
        int fd =
            fds[i].revents ? accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;

        if (fd < 0)
            continue;
        close(fd);
        closed++;
    }
    return closed;
}

void turn_away(uint64_t ms)
{
    CLEANUP_FREE struct pollfd *fds = NULL;
    size_t n = find_sockets(&fds);
    uint64_t until = now_ms() + ms;
    size_t closed = 0;

    for (uint64_t now = now_ms(); n > 0 && now < until; now = now_ms()) {
        int r = poll(fds, n, (int)(until - now));

        if (r < 0 && errno != EINTR)
            break;
        if (r > 0)
            closed += close_one_each(fds, n);
    }
    if (closed > 0)
        log_msg(LOG_WARNING, "%zu connections were closed unserved", closed);
}
