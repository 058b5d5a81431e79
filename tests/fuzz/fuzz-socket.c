/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz-socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fuzz.h"

#define PIECE_END 1
#define TURNS_MAX 100000

int fuzz_listen(int type)
{
    /* Without a name the kernel chooses an abstract one. */
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    MUST(fd >= 0);
    MUST(bind(fd, (const struct sockaddr *)&addr, sizeof(sa_family_t)) == 0);
    MUST(listen(fd, 16) == 0);
    return fd;
}

int fuzz_connect(int listener)
{
    struct sockaddr_un addr;
    socklen_t len = sizeof(addr);
    int type = 0;
    socklen_t type_len = sizeof(type);
    int fd;

    MUST(getsockopt(listener, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MUST(fd >= 0 && connect(fd, (const struct sockaddr *)&addr, len) == 0);
    return fd;
}

/* Return: false: the server has closed. */
static bool collect(int fd, struct buf *ret)
{
    uint8_t chunk[16384];
    ssize_t n;

    while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
        MUST(buf_append(ret, chunk, (size_t)n) == 0);
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool turn(sd_event *event, int fd, struct buf *ret)
{
    int did = 1;

    for (unsigned i = 0; did > 0 && i < TURNS_MAX; i++)
        did = sd_event_run(event, 0);
    MUST(did == 0);
    return collect(fd, ret);
}

/* As much as the socket takes. Return: false: the server has closed. */
static bool put(sd_event *event, int fd, struct bytes piece, struct buf *ret)
{
    bool open = true;

    for (unsigned i = 0; open && piece.len > 0; i++) {
        ssize_t n = send(fd, piece.data, piece.len, MSG_NOSIGNAL);

        MUST(i < TURNS_MAX);
        if (n > 0)
            piece = (struct bytes){ piece.data + n, piece.len - (size_t)n };
        else if (errno != EAGAIN && errno != EINTR)
            return false;
        open = turn(event, fd, ret);
    }
    return open;
}

void fuzz_talk(sd_event *event, int fd, struct bytes input, struct buf *ret)
{
    bool open = true;

    while (open && input.len > 0) {
        const uint8_t *end = memchr(input.data, PIECE_END, input.len);
        size_t len = end ? (size_t)(end - input.data) : input.len;

        open = put(event, fd, (struct bytes){ input.data, len }, ret);
        len += end ? 1 : 0;
        input = (struct bytes){ input.data + len, input.len - len };
    }
    (void)shutdown(fd, SHUT_WR);
    for (unsigned i = 0; open; i++) {
        MUST(i < TURNS_MAX);
        open = turn(event, fd, ret);
    }
    (void)close(fd);
    MUST(sd_event_run(event, 0) >= 0);
}
