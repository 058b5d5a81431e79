/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/owner-child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define TEMPORARY ".%s.guardianctl-new"
#define OURS 3 /* the socket; the directory is the next */
#define LOCKS_MAX 2

struct served {
    int dir_fd;
    /* Held until the end; those that we made are removed then. */
    unsigned n_locks;
    int lock_fd[LOCKS_MAX];
    bool made[LOCKS_MAX];
    char lock[LOCKS_MAX][OWNER_PATH_MAX + 1];
};

/* ---- opening ---- */

/* openat2(2) refuses what means nothing. */
static uint64_t flags_of(int flags)
{
    if (!(flags & O_PATH))
        flags |= O_NOCTTY;
    return (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW);
}

static int open_how(int dir_fd, const char *path, struct open_how how)
{
    long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

int owner_child_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
    const struct open_how how = {
        .flags = flags_of(flags),
        .mode = mode,
        .resolve =
            RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return open_how(dir_fd, path, how);
}

int owner_child_open(const char *path, int flags)
{
    const struct open_how how = {
        .flags = flags_of(flags),
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return open_how(AT_FDCWD, path, how);
}

static int64_t in_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct owner_stamp stamp_of(const struct stat *st)
{
    return (struct owner_stamp){ .dev = st->st_dev,
                                 .ino = st->st_ino,
                                 .size = (uint64_t)st->st_size,
                                 .mtime_ns = in_ns(st->st_mtim),
                                 .ctime_ns = in_ns(st->st_ctim),
                                 .mode = st->st_mode,
                                 .uid = st->st_uid,
                                 .gid = st->st_gid };
}

/* A device would do things when it is opened, a FIFO would wait. */
static int open_file(struct served *s, const struct owner_request *q,
                     struct owner_reply *ret, int *ret_fd)
{
    CLEANUP_FD int fd = owner_child_openat(s->dir_fd, q->path, O_PATH, 0);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return OWNER_E_LINK;
    if (!S_ISREG(st.st_mode))
        return OWNER_E_KIND;
    close(TAKE_FD(fd));
    fd = owner_child_openat(s->dir_fd, q->path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return OWNER_E_KIND;
    ret->stamp = stamp_of(&st);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Into a pipe, so that it is here that a file system of the owner's is waited
 * for; by the kernel, so that a key is in no memory of this process. */
static int fill_pipe(int from, int to)
{
    for (;;) {
        ssize_t n =
            splice(from, NULL, to, NULL, OWNER_CONTENT_MAX, SPLICE_F_NONBLOCK);

        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? OWNER_E_LARGE : -errno;
    }
}

static int read_file(struct served *s, const struct owner_request *q,
                     struct owner_reply *ret, int *ret_fd)
{
    CLEANUP_FD int from = -1;
    CLEANUP_FD int in = -1;
    CLEANUP_FD int out = -1;
    int pair[2];
    int r = open_file(s, q, ret, &from);

    if (r)
        return r;
    if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    out = pair[0];
    in = pair[1];
    r = fill_pipe(from, in);
    if (r == 0)
        *ret_fd = TAKE_FD(out);
    return r;
}

/* ---- a place: directory, name, and the temporary's name ---- */

struct place {
    int fd;
    const char *name;
    char temporary[NAME_MAX + 1];
};
#define CLEANUP_PLACE CLEANUP(place_deinit)

static void place_deinit(struct place *p)
{
    if (p->fd >= 0)
        close(p->fd);
}

static int find_place(struct served *s, const char *path, struct place *ret)
{
    const char *slash = strrchr(path, '/');
    char above[OWNER_PATH_MAX + 1];
    int n;

    *ret = (struct place){ .fd = -1, .name = slash ? slash + 1 : path };
    (void)snprintf(above, sizeof(above), "%.*s",
                   slash ? (int)(slash - path) : 1, slash ? path : ".");
    n = snprintf(ret->temporary, sizeof(ret->temporary), TEMPORARY, ret->name);
    if (!*ret->name || n < 0 || (size_t)n >= sizeof(ret->temporary))
        return -ENAMETOOLONG;
    ret->fd = owner_child_openat(s->dir_fd, above, O_RDONLY | O_DIRECTORY, 0);
    return ret->fd < 0 ? ret->fd : 0;
}

/* Still what it was, down to the last change of it. */
static int check_same(const struct place *p, const struct owner_stamp *was)
{
    struct owner_stamp is = { 0 };
    struct stat st;

    if (fstatat(p->fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        is = stamp_of(&st);
    else if (errno != ENOENT)
        return -errno;
    return memcmp(&is, was, sizeof(is)) == 0 ? 0 : OWNER_E_CHANGED;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* Who could read the old one can read the new one, and nobody else. */
static int give(int fd, const struct owner_request *q)
{
    const struct owner_stamp *was = &q->was;
    struct stat st;

    if (was->ino == 0)
        return fchmod(fd, q->mode & 0777) < 0 ? -errno : 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_uid != was->uid || st.st_gid != was->gid) &&
        fchown(fd, was->uid, was->gid) < 0)
        return -errno;
    return fchmod(fd, was->mode & 0777) < 0 ? -errno : 0;
}

/* What an earlier run left is removed; nobody's file is written into. */
static int make_temporary(const struct place *p, const struct owner_request *q)
{
    CLEANUP_FD int fd = -1;
    int r;

    if (unlinkat(p->fd, p->temporary, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(p->fd, p->temporary,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = give(fd, q);
    return r ? r : write_all(fd, q->content, q->content_len);
}

static int put_in_place(const struct place *p, const struct owner_stamp *was)
{
    unsigned flags = was->ino == 0 ? RENAME_NOREPLACE : 0;

    if (renameat2(p->fd, p->temporary, p->fd, p->name, flags) < 0)
        return errno == EEXIST ? OWNER_E_CHANGED : -errno;
    return fsync(p->fd) < 0 ? -errno : 0;
}

static int replace(struct served *s, const struct owner_request *q)
{
    CLEANUP_PLACE struct place p = { .fd = -1 };
    int r = find_place(s, q->path, &p);

    if (r == 0)
        r = check_same(&p, &q->was);
    if (r)
        return r;
    r = make_temporary(&p, q);
    if (r == 0)
        r = check_same(&p, &q->was);
    if (r == 0 && q->op == OWNER_OP_REPLACE)
        r = put_in_place(&p, &q->was);
    if (r || q->op == OWNER_OP_PROBE)
        (void)unlinkat(p.fd, p.temporary, 0);
    return r;
}

static int keep(struct served *s, const struct owner_request *q,
                struct owner_reply *ret)
{
    CLEANUP_PLACE struct place p = { .fd = -1 };
    struct stat first, second;
    int r = find_place(s, q->path, &p);

    if (r == 0)
        r = strchr(q->other, '/') || !*q->other ? -EINVAL
                                                : check_same(&p, &q->was);
    if (r)
        return r;
    if (linkat(p.fd, p.name, p.fd, q->other, 0) < 0 && errno != EEXIST)
        return -errno;
    if (fstatat(p.fd, p.name, &first, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(p.fd, q->other, &second, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (first.st_dev != second.st_dev || first.st_ino != second.st_ino)
        return -EEXIST;
    ret->stamp = stamp_of(&first); /* a second name is a change of it */
    return fsync(p.fd) < 0 ? -errno : 0;
}

/* ---- locks ---- */

static int open_lock(struct served *s, const struct owner_request *q,
                     int *ret_fd, bool *ret_made)
{
    int fd =
        owner_child_openat(s->dir_fd, q->path, O_RDWR | O_CREAT | O_EXCL, 0600);

    *ret_made = fd >= 0;
    if (fd == -EEXIST && q->op == OWNER_OP_LOCK_THERE)
        return OWNER_E_BUSY;
    if (fd == -EEXIST)
        fd = owner_child_openat(s->dir_fd, q->path, O_RDWR, 0);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

static int take_lock(struct served *s, const struct owner_request *q)
{
    const struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    CLEANUP_FD int fd = -1;
    bool made = false;
    int r;

    if (s->n_locks == LOCKS_MAX)
        return -E2BIG;
    r = open_lock(s, q, &fd, &made);
    if (r)
        return r;
    if (q->op == OWNER_OP_LOCK_RECORD && fcntl(fd, F_SETLK, &whole) < 0)
        return errno == EAGAIN || errno == EACCES ? OWNER_E_BUSY : -errno;
    (void)snprintf(s->lock[s->n_locks], OWNER_PATH_MAX + 1, "%s", q->path);
    s->made[s->n_locks] = made;
    s->lock_fd[s->n_locks++] = TAKE_FD(fd);
    return 0;
}

static void drop_locks(const struct served *s)
{
    for (unsigned i = 0; i < s->n_locks; i++) {
        if (s->made[i])
            (void)unlinkat(s->dir_fd, s->lock[i], 0);
        close(s->lock_fd[i]);
    }
}

/* ---- serving ---- */

/* The parent is trusted, but its requests have one form only. */
static bool request_ok(const struct owner_request *q, size_t len)
{
    size_t fixed = offsetof(struct owner_request, content);

    return len >= fixed && q->op > OWNER_OP_UNSET && q->op < OWNER_OP_COUNT &&
           q->content_len <= OWNER_CONTENT_MAX &&
           len == fixed + q->content_len &&
           memchr(q->path, '\0', sizeof(q->path)) &&
           memchr(q->other, '\0', sizeof(q->other));
}

static int answer(struct served *s, const struct owner_request *q,
                  struct owner_reply *ret, int *ret_fd)
{
    switch ((enum owner_op)q->op) {
    case OWNER_OP_FIND:
        return owner_walk(s->dir_fd, q, ret);
    case OWNER_OP_READ:
        return read_file(s, q, ret, ret_fd);
    case OWNER_OP_REPLACE:
    case OWNER_OP_PROBE:
        return replace(s, q);
    case OWNER_OP_KEEP:
        return keep(s, q, ret);
    case OWNER_OP_LOCK_RECORD:
    case OWNER_OP_LOCK_THERE:
        return take_lock(s, q);
    case OWNER_OP_UNSET:
    case OWNER_OP_COUNT:
        break;
    }
    return -EINVAL;
}

static bool send_reply(int to, const struct owner_reply *reply, int fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .room = { 0 } };
    struct iovec iov = { .iov_base = bytes_unconst((struct bytes){
                             (const uint8_t *)reply, sizeof(*reply) }),
                         .iov_len = sizeof(*reply) };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        struct cmsghdr *c;

        m.msg_control = control.room;
        m.msg_controllen = sizeof(control.room);
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        (void)memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    return sendmsg(to, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(*reply);
}

static int serve(int fd, struct served *s)
{
    CLEANUP_FREE struct owner_request *q = malloc(sizeof(*q));
    CLEANUP_FREE struct owner_reply *reply = malloc(sizeof(*reply));

    if (!q || !reply)
        return 1;
    for (;;) {
        CLEANUP_FD int file = -1;
        ssize_t n = recv(fd, q, sizeof(*q), 0);

        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || !request_ok(q, (size_t)n))
            return 1;
        memset(reply, 0, sizeof(*reply));
        reply->r = answer(s, q, reply, &file);
        if (!send_reply(fd, reply, file))
            return 1;
    }
}

/* ---- what the child gives up ---- */

static int arrange_fds(int fd, int dir_fd)
{
    /* Out of the way of each other first. */
    int a = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    int b = fcntl(dir_fd, F_DUPFD_CLOEXEC, 10);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (a < 0 || b < 0 || null < 0)
        return -errno;
    for (int i = 0; i < OURS; i++) {
        if (dup2(null, i) < 0)
            return -errno;
    }
    if (dup3(a, OURS, O_CLOEXEC) < 0 || dup3(b, OURS + 1, O_CLOEXEC) < 0)
        return -errno;
    return close_range(OURS + 2, UINT_MAX, 0) < 0 ? -errno : 0;
}

static int become(uid_t uid, gid_t gid)
{
    struct passwd *found = NULL;
    struct passwd pw;
    char buffer[16 * 1024];

    if (geteuid() != 0 || uid == 0)
        return 0;
    (void)getpwuid_r(uid, &pw, buffer, sizeof(buffer), &found);
    if (found)
        gid = pw.pw_gid;
    if (found ? initgroups(pw.pw_name, gid) < 0 : setgroups(0, NULL) < 0)
        return -errno;
    if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    return 0;
}

noreturn void owner_child_run(int fd, int dir_fd, uid_t uid, gid_t gid)
{
    struct served s = { .dir_fd = OURS + 1 };
    int r = 1;

    /* It ends when its parent does, and takes the locks with it. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)umask(077);
    if (arrange_fds(fd, dir_fd) == 0 && become(uid, gid) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0) {
        r = serve(OURS, &s);
        drop_locks(&s);
    }
    _exit(r);
}
