/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

static int fail(struct errmsg *reterr, int code, const char *text)
{
    errmsg_set(reterr, "%s", text);
    return code;
}

/* The socket file belongs to who is meant to connect. */
static bool owns_socket_file(int fd, uid_t uid)
{
    struct sockaddr_un address = { 0 };
    socklen_t len = sizeof(address) - 1;
    struct stat st;

    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
           address.sun_path[0] == '/' && stat(address.sun_path, &st) == 0 &&
           st.st_uid == uid;
}

static int check_peer(int fd, bool activated, bool *ret_unseparated,
                      struct errmsg *reterr)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return fail(reterr, -errno, "the peer cannot be identified");
    if (activated && peer.uid != 0 && peer.uid != geteuid() &&
        !owns_socket_file(fd, peer.uid)) {
        errmsg_set(reterr, "a connection by uid %u is refused", peer.uid);
        return CONNECTION_E_REFUSED;
    }
    *ret_unseparated = peer.uid == geteuid();
    return 0;
}

/* While we could not start, the daemon gave up connections and made others. */
static bool is_gone(int conn)
{
    struct pollfd p = { .fd = conn, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0;
}

/* Return: a connection; -ETIMEDOUT when nobody comes; negative errno. */
static int accept_living(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    for (;;) {
        int r = poll(&p, 1, CONNECTION_PATIENCE_MS);
        int conn;

        if (r < 0 && errno != EINTR)
            return -errno;
        if (r == 0)
            return -ETIMEDOUT;
        conn = r > 0 ? accept4(fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (r > 0 && conn < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (conn >= 0 && !is_gone(conn))
            return conn;
        if (conn >= 0)
            close(conn);
    }
}

/* The one socket that systemd handed over, connected or listening. */
static int take_activated(int *ret_fd, struct errmsg *reterr)
{
    const int fd = SD_LISTEN_FDS_START;
    int conn;

    if (sd_listen_fds(1) != 1)
        return fail(reterr, CONNECTION_E_NONE,
                    "neither --fd nor exactly one activated socket");
    if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 0) > 0) {
        *ret_fd = fd;
        return 0;
    }
    if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
        return fail(reterr, CONNECTION_E_NONE,
                    "the activated socket is no Unix socket of sequential "
                    "packets");
    (void)sd_notify(0, "READY=1");
    conn = accept_living(fd);
    if (conn == -ETIMEDOUT)
        return fail(reterr, CONNECTION_E_NOBODY, "nobody is connected");
    if (conn < 0)
        return fail(reterr, conn, "accept failed");
    *ret_fd = conn;
    return 0;
}

int connection_take(int fd, int *ret_fd, bool *ret_unseparated,
                    struct errmsg *reterr)
{
    bool activated = fd < 0;
    int flags;
    int r = 0;

    if (activated)
        r = take_activated(&fd, reterr);
    else if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 0) <= 0)
        return fail(reterr, CONNECTION_E_NONE,
                    "--fd is no connected Unix socket of sequential packets");
    if (r == 0)
        r = check_peer(fd, activated, ret_unseparated, reterr);
    if (r)
        return r;
    /* Workers wait in recv(2). */
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return fail(reterr, -errno, "fcntl failed");
    *ret_fd = fd;
    return 0;
}
