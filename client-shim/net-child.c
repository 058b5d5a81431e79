/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "client-shim/net-confine.h"

/* The child's deadline is libcurl's; ours only ends a child that ignores it. */
#define GRACE_S 10
#define PIECE ((size_t)32 * 1024)

struct net_child {
    int fd;
    pid_t pid;
    unsigned timeout_s;
};

/* The parent is trusted, but its requests have one form only. */
static bool request_ok(const struct net_request *r, size_t len)
{
    return len == sizeof(*r) && r->kind > NET_KIND_UNSET &&
           r->kind < NET_KIND_COUNT && r->body_len <= sizeof(r->body) &&
           memchr(r->url, '\0', sizeof(r->url)) != NULL;
}

/* In pieces that the socket takes; SEQPACKET keeps them whole. The first one
 * has all that net_answer_len() needs. */
static bool send_answer(int fd, const struct net_answer *a)
{
    const char *p = (const char *)a;
    size_t left = net_answer_len(a);

    while (left > 0) {
        size_t n = left < PIECE ? left : PIECE;

        if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
            return false;
        p += n;
        left -= n;
    }
    return true;
}

static int serve(int fd, const struct net_http_options *options)
{
    CLEANUP_FREE struct net_request *request = malloc(sizeof(*request));
    CLEANUP_FREE struct net_answer *answer = malloc(sizeof(*answer));
    CLEANUP_NET_HTTP struct net_http *http = NULL;
    ssize_t n;

    if (!request || !answer || net_http_new(options, &http))
        return 1;
    for (;;) {
        n = recv(fd, request, sizeof(*request), 0);
        if (n == 0)
            return 0;
        if (n < 0 || !request_ok(request, (size_t)n))
            return 1;
        net_http_perform(http, request, answer);
        if (!send_answer(fd, answer))
            return 1;
    }
}

_Noreturn static void child_main(int fd, const struct net_http_options *options)
{
    /* Whoever started us with 0, 1 or 2 closed: not in their place. */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (high < 0 || net_confine(high))
        _exit(1);
    _exit(serve(high, options));
}

static int fork_child(const struct net_http_options *options, int *ret_fd,
                      pid_t *ret_pid)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        child_main(pair[1], options);
    *ret_fd = pair[0];
    *ret_pid = pid;
    close(pair[1]);
    return pid < 0 ? -EAGAIN : 0;
}

int net_child_start(const struct net_http_options *options,
                    struct net_child **ret)
{
    CLEANUP_NET_CHILD struct net_child *n = calloc(1, sizeof(*n));
    int r;

    if (!n)
        return -ENOMEM;
    *n = (struct net_child){ .fd = -1, .timeout_s = options->timeout_s };
    r = net_confine_starter();
    if (r == 0)
        r = fork_child(options, &n->fd, &n->pid);
    if (r)
        return r;
    *ret = TAKE_PTR(n);
    return 0;
}

/* One piece; its deadline is for all of them. */
static int receive_piece(const struct net_child *n, char *to, size_t room,
                         size_t *ret_len)
{
    struct pollfd p = { .fd = n->fd, .events = POLLIN };
    ssize_t len;
    int r;

    r = poll(&p, 1, (int)(n->timeout_s + GRACE_S) * 1000);
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    len = recv(n->fd, to, room < PIECE ? room : PIECE, MSG_TRUNC);
    if (len <= 0 || (size_t)len > room || (size_t)len > PIECE)
        return -EPROTO;
    *ret_len = (size_t)len;
    return 0;
}

static int receive(const struct net_child *n, enum net_kind kind,
                   struct net_answer *ret)
{
    char *to = (char *)ret;
    size_t want = offsetof(struct net_answer, directory);
    size_t have = 0;

    memset(ret, 0, sizeof(*ret));
    while (have < want) {
        size_t len = 0;
        int r = receive_piece(n, to + have, sizeof(*ret) - have, &len);

        if (r)
            return r;
        have += len;
        /* Known when the first part is there; an unknown kind adds nothing. */
        if (have >= want)
            want = net_answer_len(ret);
    }
    return net_answer_check(ret, have, kind) ? 0 : -EPROTO;
}

int net_child_call(struct net_child *n, const struct net_call *call,
                   struct net_answer *ret)
{
    CLEANUP_FREE struct net_request *request = calloc(1, sizeof(*request));
    int r;

    if (!request)
        return -ENOMEM;
    if (strlen(call->url) > ACME_URL_MAX ||
        call->body.len > sizeof(request->body))
        return -E2BIG;
    request->kind = call->kind;
    request->allow_http = call->allow_http;
    request->fresh = call->fresh;
    request->system_roots = call->system_roots;
    request->body_len = (uint32_t)call->body.len;
    memcpy(request->url, call->url, strlen(call->url));
    if (call->body.len)
        memcpy(request->body, call->body.data, call->body.len);
    if (send(n->fd, request, sizeof(*request), MSG_NOSIGNAL) < 0)
        return errno == EPIPE || errno == ECONNRESET ? -EPROTO : -errno;
    r = receive(n, call->kind, ret);
    /* A late answer must not be taken for that to the next request. */
    if (r)
        (void)shutdown(n->fd, SHUT_RDWR);
    return r;
}

struct net_child *net_child_free(struct net_child *n)
{
    if (!n)
        return NULL;
    if (n->fd >= 0)
        close(n->fd);
    if (n->pid > 0) {
        (void)kill(n->pid, SIGKILL);
        (void)waitpid(n->pid, NULL, 0);
    }
    free(n);
    return NULL;
}
