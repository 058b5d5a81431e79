/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/owner-files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client-shim/net-confine.h"
#include "client-shim/owner-child.h"

/* The child runs with its owner's ids, so the owner can stop it, or have it
 * wait for a file system of his: that may hold up nobody else. */
#define LIMIT_MS 30000
#define END_MS 10000
#define KILL_MS 1000

struct owner_files {
    char *dir;   /* for people */
    char *given; /* NULL: a directory was given */
    uid_t uid;
    int fd; /* to the child */
    pid_t pid;
    struct owner_request request;
    struct owner_reply reply;
};

const char *owner_files_given(const struct owner_files *o)
{
    return o->given;
}

uid_t owner_files_uid(const struct owner_files *o)
{
    return o->uid;
}

int owner_files_whole(const struct owner_files *o, const char *path,
                      struct buf *ret)
{
    bool root = strcmp(o->dir, "/") == 0;

    return buf_printf(ret, "%s%s%s", o->dir, root || !*path ? "" : "/", path);
}

/* ---- words ---- */

static const char *words(int r)
{
    switch (r) {
    case OWNER_E_LINK:
    case -ELOOP:
        return "a symbolic link is in the way: name what it leads to";
    case -ENOTDIR:
        return "a symbolic link, or what is no directory, is in the way";
    case -EXDEV:
        return "leads out of its directory";
    case OWNER_E_KIND:
        return "is no plain file";
    case OWNER_E_CHANGED:
        return "was changed meanwhile: is its client running? Try again when "
               "it is not";
    case OWNER_E_BUSY:
        return "is there or locked: its client is running, or was killed; try "
               "again when it has ended, or remove what is left of it";
    case OWNER_E_USER:
        return "is another user's: only root can work on it, as that user";
    case OWNER_E_LARGE:
        return "is too large for what it should be";
    case -ETIMEDOUT:
        return "the process of the directory's owner does not answer: is it "
               "stopped, or does a file system hang?";
    case -EPROTO:
        return "the process of the directory's owner has failed";
    default:
        return strerror(r < 0 ? -r : EIO);
    }
}

static int fail(const struct owner_files *o, const char *path, int r,
                struct errmsg *reterr)
{
    CLEANUP_BUF struct buf whole = { 0 };

    if (r && owner_files_whole(o, path, &whole) == 0)
        errmsg_set_at(reterr, buf_str(&whole), 0, "%s", words(r));
    return r;
}

/* ---- beginning and end ---- */

/* Without a last '/', as which "dir/" and "dir" would differ. */
static int copy_path(const char *path, char **ret)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    *ret = strndup(path, n);
    return *ret ? 0 : -ENOMEM;
}

static int split(struct owner_files *o)
{
    char *slash = strrchr(o->dir, '/');
    const char *name = slash ? slash + 1 : o->dir;
    char *above = NULL;

    o->given = strdup(name);
    if (slash)
        above = strndup(o->dir, slash == o->dir ? 1 : (size_t)(slash - o->dir));
    else
        above = strdup(".");
    if (!o->given || !above) {
        free(above);
        return -ENOMEM;
    }
    free(o->dir);
    o->dir = above;
    return 0;
}

static int open_dir(struct owner_files *o, int *ret_fd)
{
    CLEANUP_FD int fd = owner_child_open(o->dir, O_PATH);
    struct stat st;
    int r;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return OWNER_E_LINK;
    if (!S_ISDIR(st.st_mode) && (o->given || !S_ISREG(st.st_mode)))
        return OWNER_E_KIND;
    if (S_ISREG(st.st_mode)) {
        r = split(o);
        if (r)
            return r;
    }
    *ret_fd = owner_child_open(o->dir, O_RDONLY | O_DIRECTORY);
    return *ret_fd < 0 ? *ret_fd : 0;
}

int owner_files_set_limit(struct owner_files *o, unsigned ms)
{
    const struct timeval limit = { .tv_sec = ms / 1000,
                                   .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

    if (setsockopt(o->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(o->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
        return -errno;
    return 0;
}

static int start(struct owner_files *o, int dir_fd)
{
    struct stat st;
    int pair[2];
    int r;

    if (fstat(dir_fd, &st) < 0)
        return -errno;
    o->uid = st.st_uid;
    if (geteuid() != 0 && geteuid() != st.st_uid)
        return OWNER_E_USER;
    r = net_confine_starter();
    if (r)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    o->pid = fork();
    if (o->pid == 0)
        owner_child_run(pair[1], dir_fd, st.st_uid, st.st_gid);
    o->fd = pair[0];
    close(pair[1]);
    return o->pid < 0 ? -EAGAIN : owner_files_set_limit(o, LIMIT_MS);
}

static int open_files(const char *path, bool above, struct owner_files **ret)
{
    CLEANUP_OWNER_FILES struct owner_files *o = calloc(1, sizeof(*o));
    CLEANUP_FD int dir_fd = -1;
    int r;

    if (!o)
        return -ENOMEM;
    o->fd = -1;
    r = copy_path(path, &o->dir);
    if (r == 0 && above)
        r = split(o);
    if (r == 0)
        r = open_dir(o, &dir_fd);
    if (r == 0)
        r = start(o, dir_fd);
    if (r)
        return r;
    *ret = TAKE_PTR(o);
    return 0;
}

int owner_files_open(const char *path, struct owner_files **ret,
                     struct errmsg *reterr)
{
    int r = open_files(path, false, ret);

    if (r)
        errmsg_set_at(reterr, path, 0, "%s", words(r));
    return r;
}

int owner_files_open_above(const char *path, struct owner_files **ret,
                           struct errmsg *reterr)
{
    int r = open_files(path, true, ret);

    if (r)
        errmsg_set_at(reterr, path, 0, "%s", words(r));
    return r;
}

static bool has_ended(pid_t pid, unsigned ms)
{
    const struct timespec step = { .tv_nsec = 10 * 1000 * 1000 };

    for (unsigned waited = 0; waitpid(pid, NULL, WNOHANG) == 0; waited += 10) {
        if (waited >= ms)
            return false;
        (void)nanosleep(&step, NULL);
    }
    return true;
}

/* Not always: who has the ids of another needs CAP_KILL, which the unit that
 * refreshes stubs has not. What is left then ends with the unit. */
static void end_child(const struct owner_files *o, unsigned ms)
{
    if (o->pid <= 0 || has_ended(o->pid, ms))
        return;
    if (kill(o->pid, SIGKILL) == 0)
        (void)has_ended(o->pid, KILL_MS);
}

struct owner_files *owner_files_free(struct owner_files *o)
{
    bool failed;

    if (!o)
        return NULL;
    failed = o->fd < 0;
    if (!failed)
        close(o->fd);
    /* It ends by itself then, and gives back the client's lock. */
    end_child(o, failed ? 0 : END_MS);
    free(o->dir);
    free(o->given);
    free(o);
    return NULL;
}

/* ---- one request ---- */

static bool reply_ok(const struct owner_reply *p)
{
    if (p->n > OWNER_FOUND_MAX)
        return false;
    for (unsigned i = 0; i < p->n; i++) {
        if (!memchr(p->path[i], '\0', sizeof(p->path[i])))
            return false;
    }
    return true;
}

static int take_fd(struct msghdr *m)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        (void)memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

static int receive(struct owner_files *o, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .room = { 0 } };
    struct iovec iov = { .iov_base = &o->reply, .iov_len = sizeof(o->reply) };
    struct msghdr m = { .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.room,
                        .msg_controllen = sizeof(control.room) };
    ssize_t n;

    do
        n = recvmsg(o->fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    *ret_fd = take_fd(&m);
    return n == (ssize_t)sizeof(o->reply) && reply_ok(&o->reply) ? o->reply.r
                                                                 : -EPROTO;
}

static bool path_ok(const char *path)
{
    return strlen(path) <= OWNER_PATH_MAX && *path != '/';
}

/* A late answer would be taken for that to the next request. */
static void hang_up(struct owner_files *o)
{
    close(o->fd);
    o->fd = -1;
}

static int ask(struct owner_files *o, enum owner_op op, const char *path,
               const char *other, struct bytes content, int *ret_fd)
{
    size_t len = offsetof(struct owner_request, content) + content.len;
    CLEANUP_FD int fd = -1;
    int r;

    if (!path_ok(path) || !path_ok(other) || content.len > OWNER_CONTENT_MAX)
        return -E2BIG;
    o->request.op = op;
    o->request.content_len = (uint32_t)content.len;
    (void)snprintf(o->request.path, sizeof(o->request.path), "%s", path);
    (void)snprintf(o->request.other, sizeof(o->request.other), "%s", other);
    if (content.len)
        (void)memcpy(o->request.content, content.data, content.len);
    if (o->fd < 0 ||
        send(o->fd, &o->request, len, MSG_NOSIGNAL) != (ssize_t)len)
        return -EPROTO;
    r = receive(o, &fd);
    if (r == -ETIMEDOUT)
        hang_up(o);
    if (ret_fd)
        *ret_fd = TAKE_FD(fd);
    return r;
}

static const struct bytes nothing;

int owner_files_find(struct owner_files *o, const char *under, const char *name,
                     unsigned depth, struct owner_found *ret,
                     struct errmsg *reterr)
{
    int r;

    o->request.depth = depth;
    r = ask(o, OWNER_OP_FIND, under, name ? name : "*", nothing, NULL);
    if (r)
        return fail(o, under, r, reterr);
    *ret = (struct owner_found){ .n = o->reply.n, .more = o->reply.more != 0 };
    (void)memcpy(ret->path, o->reply.path, sizeof(ret->path));
    return 0;
}

static int open_to_read(struct owner_files *o, const char *path, int *ret_fd,
                        struct owner_stamp *ret_stamp)
{
    CLEANUP_FD int fd = -1;
    struct stat st;
    int r;

    r = ask(o, OWNER_OP_READ, path, "", nothing, &fd);
    if (r)
        return r;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
        return -EPROTO;
    *ret_stamp = o->reply.stamp;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int owner_files_read(struct owner_files *o, const char *path, size_t max,
                     struct buf *ret, struct owner_stamp *ret_stamp,
                     struct errmsg *reterr)
{
    struct owner_stamp stamp = { 0 };
    CLEANUP_FD int fd = -1;
    int r = open_to_read(o, path, &fd, &stamp);

    if (r == -ENOENT)
        return r;
    if (r == 0)
        r = buf_read(ret, fd, max);
    if (r == -E2BIG)
        r = OWNER_E_LARGE;
    if (r == 0 && ret_stamp)
        *ret_stamp = stamp;
    return fail(o, path, r, reterr);
}

int owner_files_read_secret(struct owner_files *o, const char *path,
                            struct secret **ret, struct owner_stamp *ret_stamp,
                            struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    int r = open_to_read(o, path, &fd, ret_stamp);

    if (r == -ENOENT)
        return r;
    if (r == 0)
        r = secret_new_read(fd, false, ret);
    if (r == -E2BIG)
        r = OWNER_E_LARGE;
    return fail(o, path, r, reterr);
}

int owner_files_replace(struct owner_files *o, const char *path,
                        struct bytes content, const struct owner_stamp *was,
                        mode_t mode, struct errmsg *reterr)
{
    o->request.was = *was;
    o->request.mode = mode;
    return fail(o, path, ask(o, OWNER_OP_REPLACE, path, "", content, NULL),
                reterr);
}

int owner_files_probe(struct owner_files *o, const char *path,
                      const struct owner_stamp *was, struct errmsg *reterr)
{
    static const uint8_t room[OWNER_CONTENT_MAX / 8];

    o->request.was = *was;
    o->request.mode = 0600;
    return fail(o, path,
                ask(o, OWNER_OP_PROBE, path, "",
                    (struct bytes){ room, sizeof(room) }, NULL),
                reterr);
}

int owner_files_keep(struct owner_files *o, const char *path,
                     const char *second, struct owner_stamp *was,
                     struct errmsg *reterr)
{
    int r;

    o->request.was = *was;
    r = ask(o, OWNER_OP_KEEP, path, second, nothing, NULL);
    if (r == -EEXIST)
        return fail(o, second, r, reterr);
    if (r == 0)
        *was = o->reply.stamp;
    return fail(o, path, r, reterr);
}

int owner_files_lock(struct owner_files *o, const char *path, bool record,
                     struct errmsg *reterr)
{
    return fail(o, path,
                ask(o, record ? OWNER_OP_LOCK_RECORD : OWNER_OP_LOCK_THERE,
                    path, "", nothing, NULL),
                reterr);
}
