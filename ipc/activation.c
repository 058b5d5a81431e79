/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <systemd/sd-daemon.h>

static char **names_free(char **names)
{
    for (char **n = names; n && *n; n++)
        free(*n);
    free(names);
    return NULL;
}
DEFINE_CLEANUP(char **, names_free)

void activation_deinit(struct activation *a)
{
    for (size_t i = 0; i < a->n_sockets; i++) {
        if (a->sockets[i].fd >= 0)
            close(a->sockets[i].fd);
        free(a->sockets[i].instance);
    }
    free(a->sockets);
    *a = (struct activation){ 0 };
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0 && name[strlen(prefix)];
}

static enum activation_kind kind_of(const char *name)
{
    if (strcmp(name, "client") == 0 || has_prefix(name, "client@"))
        return ACTIVATION_CLIENT;
    if (strcmp(name, "admin") == 0)
        return ACTIVATION_ADMIN;
    if (has_prefix(name, "lacme@"))
        return ACTIVATION_LACME;
    return ACTIVATION_UNSET;
}

static bool is_repeated(const struct activation *a,
                        const struct activation_socket *s)
{
    for (size_t i = 0; i < a->n_sockets; i++) {
        const struct activation_socket *o = &a->sockets[i];

        if (o->kind == s->kind && !o->instance == !s->instance &&
            (!s->instance || strcmp(o->instance, s->instance) == 0))
            return true;
    }
    return false;
}

/* Takes the descriptor, also when it fails. */
static int add_socket(struct activation *a, const char *name, int fd,
                      struct errmsg *reterr)
{
    struct activation_socket *s = &a->sockets[a->n_sockets];
    const char *at = strchr(name, '@');

    *s = (struct activation_socket){ .kind = kind_of(name), .fd = fd };
    if (at) {
        s->instance = strdup(at + 1);
        if (!s->instance) {
            close(fd);
            return -ENOMEM;
        }
    }
    if (is_repeated(a, s)) {
        errmsg_set(reterr, "socket \"%s\" was handed over twice", name);
        a->n_sockets++;
        return ACTIVATION_E_INVALID;
    }
    a->n_sockets++;

    if (s->kind == ACTIVATION_UNSET) {
        errmsg_set(reterr,
                   "unknown socket name \"%s\" (FileDescriptorName= must be "
                   "client, client@INSTANCE, admin or lacme@NAME)",
                   name);
        return ACTIVATION_E_INVALID;
    }
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
        errmsg_set(reterr, "socket \"%s\" is no listening Unix stream socket",
                   name);
        return ACTIVATION_E_INVALID;
    }
    return 0;
}

int activation_take(struct activation *ret, struct errmsg *reterr)
{
    CLEANUP(activation_deinit) struct activation a = { 0 };
    CLEANUP(names_free_p) char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);
    int result = 0;

    if (n < 0) {
        errmsg_set(reterr, "cannot take sockets: %s", strerror(-n));
        return n;
    }
    a.sockets = calloc((size_t)n + 1, sizeof(*a.sockets));
    if (!a.sockets)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        int r = add_socket(&a, names[i], SD_LISTEN_FDS_START + i,
                           result ? NULL : reterr);

        if (result == 0)
            result = r;
    }
    if (result)
        return result;

    *ret = a;
    a = (struct activation){ 0 };
    return 0;
}

static int connect_to(const struct sockaddr_un *sa)
{
    CLEANUP_FD int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    return connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno
                                                                     : 0;
}

/* Only a socket that nobody listens on any more is ours to remove. */
static int remove_stale(const struct sockaddr_un *sa, struct errmsg *reterr)
{
    struct stat st;

    if (lstat(sa->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode)) {
        errmsg_set(reterr, "%s exists and is no socket", sa->sun_path);
        return -EEXIST;
    }
    if (connect_to(sa) != -ECONNREFUSED) {
        errmsg_set(reterr, "%s: another process listens there", sa->sun_path);
        return -EADDRINUSE;
    }
    return unlink(sa->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_path(int fd, const struct sockaddr_un *sa,
                     struct errmsg *reterr)
{
    int r;

    if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -errno;
    r = remove_stale(sa, reterr);
    if (r)
        return r;
    return bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;
}

/* Until listen(), connecting is refused, so the file's rights come first. */
static int open_up(int fd, const char *path, mode_t mode, uid_t owner)
{
    if (owner != (uid_t)-1 && lchown(path, owner, (gid_t)-1) < 0)
        return -errno;
    if (chmod(path, mode) < 0)
        return -errno;
    return listen(fd, SOMAXCONN) < 0 ? -errno : 0;
}

int activation_listen(const char *path, mode_t mode, uid_t owner, int *ret_fd,
                      struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int r;

    errmsg_set(reterr, "%s", "");
    if (strlen(path) >= sizeof(sa.sun_path)) {
        errmsg_set(reterr, "%s: longer than %zu octets", path,
                   sizeof(sa.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    memcpy(sa.sun_path, path, strlen(path));

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    r = bind_path(fd, &sa, reterr);
    if (r == 0) {
        r = open_up(fd, path, mode, owner);
        if (r)
            (void)unlink(path);
    }
    if (r) {
        if (reterr && !reterr->text[0])
            errmsg_set(reterr, "cannot listen on %s: %s", path, strerror(-r));
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
