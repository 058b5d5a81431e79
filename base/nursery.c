/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/nursery.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum request_kind {
    REQUEST_SPAWN = 1, /* with one descriptor */
    REQUEST_END,
};

struct request {
    uint32_t kind;
    uint32_t id;
    uint32_t arg;
};

/* ---- the nursery ---- */

struct ward {
    const struct nursery_options *options;
    int fd;
    int signals;
    pid_t *pids; /* by id; 0: none */
};

/* It has nobody to tell: when its owner does not read, that has ended. */
static void say(struct ward *w, enum nursery_kind kind, uint32_t id,
                int32_t value)
{
    const struct nursery_event event = { kind, id, value };

    if (send(w->fd, &event, sizeof(event), MSG_NOSIGNAL) !=
        (ssize_t)sizeof(event))
        _exit(1);
}

static void end_one(struct ward *w, uint32_t id)
{
    if (w->pids[id] == 0)
        return;
    (void)kill(-w->pids[id], SIGKILL);
    (void)kill(w->pids[id], SIGKILL);
}

static void start_one(struct ward *w, const struct request *q, int fd)
{
    const struct nursery_options *o = w->options;
    pid_t pid = 0;
    int r = -EBUSY;

    if (w->pids[q->id] == 0)
        r = fd < 0 ? -EBADF : o->start(q->id, q->arg, fd, o->userdata, &pid);
    if (r) {
        say(w, NURSERY_NOT_STARTED, q->id, r);
        return;
    }
    w->pids[q->id] = pid;
    say(w, NURSERY_STARTED, q->id, pid);
}

static void reap(struct ward *w)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (uint32_t id = 0; id < w->options->n_ids; id++) {
            if (w->pids[id] != pid)
                continue;
            w->pids[id] = 0;
            say(w, NURSERY_ENDED, id, status);
        }
    }
}

static noreturn void leave(struct ward *w)
{
    if (!w->options->end_all)
        _exit(0);
    for (uint32_t id = 0; id < w->options->n_ids; id++)
        end_one(w, id);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    _exit(0);
}

static void on_request(struct ward *w)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct request q;
    struct iovec iov = { &q, sizeof(q) };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(w->fd, &msg, MSG_CMSG_CLOEXEC);
    CLEANUP_FD int fd = -1;

    if (n == 0)
        leave(w);
    if (n > 0 && msg.msg_controllen >= CMSG_LEN(sizeof(int)) &&
        control.header.cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
    if (n != (ssize_t)sizeof(q) || (msg.msg_flags & MSG_TRUNC) ||
        q.id >= w->options->n_ids)
        leave(w);
    if (q.kind == REQUEST_SPAWN)
        start_one(w, &q, fd);
    else if (q.kind == REQUEST_END)
        end_one(w, q.id);
    else
        leave(w);
}

static noreturn void run(struct ward *w)
{
    struct pollfd fds[] = { { w->signals, POLLIN, 0 }, { w->fd, POLLIN, 0 } };
    struct signalfd_siginfo info;

    for (;;) {
        if (poll(fds, ARRAY_LEN(fds), -1) < 0)
            continue; /* EINTR: after a stop */
        if (fds[0].revents &&
            read(w->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
            reap(w);
        if (fds[1].revents)
            on_request(w);
    }
}

static bool is_kept(const struct nursery_options *o, int fd, int own)
{
    for (size_t i = 0; i < o->n_keep; i++) {
        if (o->keep[i] == fd)
            return true;
    }
    return fd == own;
}

static int close_others(const struct nursery_options *o, int own)
{
    int highest = own;

    for (size_t i = 0; i < o->n_keep; i++)
        highest = o->keep[i] > highest ? o->keep[i] : highest;
    for (int fd = 3; fd < highest; fd++) {
        if (!is_kept(o, fd, own))
            (void)close(fd);
    }
    return close_range((unsigned)highest + 1, UINT_MAX, 0) < 0 ? -errno : 0;
}

/* Its owner's signals are not for it: it ends with the socket. */
static noreturn void begin(const struct nursery_options *o, int fd)
{
    struct ward w = { .options = o, .fd = fd };
    sigset_t all, children;

    (void)prctl(PR_SET_NAME, o->name);
    (void)sigfillset(&all);
    (void)sigemptyset(&children);
    (void)sigaddset(&children, SIGCHLD);
    w.pids = calloc(o->n_ids, sizeof(*w.pids));
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || close_others(o, fd) ||
        !w.pids)
        _exit(1);
    w.signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w.signals < 0)
        _exit(1);
    run(&w);
}

/* ---- its owner ---- */

int nursery_open(const struct nursery_options *options, struct nursery *ret)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        close(pair[0]);
        begin(options, pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return -errno;
    }
    *ret = (struct nursery){ .fd = pair[0], .pid = pid };
    return 0;
}

void nursery_close(struct nursery *n)
{
    if (n->fd < 0)
        return;
    close(n->fd);
    while (waitpid(n->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *n = (struct nursery)NURSERY_NONE;
}

static int nursery_ask(struct nursery *n, const struct request *q, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct request copy = *q;
    struct iovec iov = { &copy, sizeof(copy) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(fd)),
                                           .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    return sendmsg(n->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int nursery_spawn(struct nursery *n, uint32_t id, uint32_t arg, int fd)
{
    return nursery_ask(n, &(struct request){ REQUEST_SPAWN, id, arg }, fd);
}

void nursery_end(struct nursery *n, uint32_t id)
{
    /* When it does not take this, it is gone, and that shows elsewhere. */
    (void)nursery_ask(n, &(struct request){ REQUEST_END, id, 0 }, -1);
}

int nursery_receive(struct nursery *n, struct nursery_event *ret)
{
    ssize_t k = recv(n->fd, ret, sizeof(*ret), MSG_DONTWAIT);

    if (k < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return k == (ssize_t)sizeof(*ret) ? 0 : -ECONNRESET;
}
