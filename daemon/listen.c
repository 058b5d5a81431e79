/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/listen.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/admin.h"
#include "daemon/lacme.h"
#include "daemon/signer.h"
#include "ipc/activation.h"

#define NO_OWNER ((uid_t)-1)

/* What a uid's clients hold does not keep its guardianctl out. */
enum { SHARE_CLIENT = 0, SHARE_ADMIN };

static const struct settings_lacme *find_lacme(const struct settings *s,
                                               const char *name)
{
    for (size_t i = 0; i < s->n_lacmes; i++) {
        if (strcmp(s->lacmes[i].name, name) == 0)
            return &s->lacmes[i];
    }
    return NULL;
}

static int listen_client(struct guardian *g, int fd, const char *instance)
{
    static const char *const interfaces[] = { SIGNER_INTERFACE, NULL };

    return varlink_server_listen(
        g->varlink, fd,
        &(struct varlink_listener){ .instance = instance,
                                    .interfaces = interfaces,
                                    .share = SHARE_CLIENT,
                                    .use_peerpidfd =
                                        g->options.use_peerpidfd });
}

/* A peer without a role is refused before a byte of it is read. */
static bool admit_admin(const struct peer *peer, void *userdata)
{
    struct guardian *g = userdata;

    if (roles_of(&g->roles, peer, &g->names.policy) != ROLE_NONE)
        return true;
    if (log_limit_take(&g->log_denied, g->event))
        log_msg(LOG_NOTICE, "Admin socket: uid %u has no role", peer->uid);
    return false;
}

static int listen_admin(struct guardian *g, int fd)
{
    static const char *const interfaces[] = { ADMIN_INTERFACE, NULL };

    return varlink_server_listen(
        g->varlink, fd,
        &(struct varlink_listener){ .interfaces = interfaces,
                                    .share = SHARE_ADMIN,
                                    .admit = admit_admin,
                                    .userdata = g,
                                    .use_peerpidfd =
                                        g->options.use_peerpidfd });
}

static int listen_one(struct guardian *g, enum activation_kind kind, int fd,
                      const char *instance)
{
    const struct settings_lacme *lacme;

    host_look_at_fd(&g->host, fd);
    switch (kind) {
    case ACTIVATION_CLIENT:
        return listen_client(g, fd, instance);
    case ACTIVATION_ADMIN:
        return listen_admin(g, fd);
    case ACTIVATION_LACME:
        lacme = find_lacme(g->settings, instance);
        return lacme_listen(g->lacme, fd, instance,
                            lacme ? lacme->account : instance);
    case ACTIVATION_UNSET:
        break;
    }
    return -EINVAL;
}

static bool is_passed(const struct activation *a, enum activation_kind kind,
                      const char *instance)
{
    for (size_t i = 0; i < a->n_sockets; i++) {
        const struct activation_socket *s = &a->sockets[i];

        if (s->kind == kind &&
            (!instance || (s->instance && strcmp(s->instance, instance) == 0)))
            return true;
    }
    return false;
}

static int listen_passed(struct guardian *g, struct activation *a,
                         struct errmsg *reterr)
{
    for (size_t i = 0; i < a->n_sockets; i++) {
        struct activation_socket *s = &a->sockets[i];
        int r = listen_one(g, s->kind, s->fd, s->instance);

        if (r) {
            errmsg_set(reterr, "cannot serve a socket that was passed: %s",
                       strerror(-r));
            return r;
        }
        s->fd = -1;
    }
    return 0;
}

static int listen_created(struct guardian *g, enum activation_kind kind,
                          const char *path, mode_t mode, uid_t owner,
                          const char *instance, struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    int r;

    r = activation_listen(path, mode, owner, &fd, reterr);
    if (r)
        return r;
    r = listen_one(g, kind, fd, instance);
    if (r) {
        errmsg_set_at(reterr, path, 0, "cannot serve this socket: %s",
                      strerror(-r));
        return r;
    }
    (void)TAKE_FD(fd);
    return 0;
}

/* Its own section's trouble: the others are served all the same. */
static void listen_lacme(struct guardian *g, const struct settings_lacme *l)
{
    const struct policy_names *names = &g->names.policy;
    CLEANUP_BUF struct buf text = { 0 };
    struct errmsg e = { .text = "cannot be created" };
    uid_t owner = NO_OWNER;

    if (l->owner && names->uid(l->owner, &owner, names->userdata)) {
        log_msg(LOG_ERR, "[Lacme %s]: there is no user %s; not listening",
                l->name, l->owner);
        return;
    }
    if (listen_created(g, ACTIVATION_LACME, l->socket, 0600, owner, l->name,
                       &e) == 0)
        return;
    log_msg(LOG_ERR, "[Lacme %s]: %s", l->name,
            errmsg_format(&e, &text) ? e.text : buf_str(&text));
}

static int listen_own(struct guardian *g, const struct activation *a,
                      struct errmsg *reterr)
{
    const struct settings *s = g->settings;
    int r = 0;

    if (!is_passed(a, ACTIVATION_CLIENT, NULL))
        r = listen_created(g, ACTIVATION_CLIENT, s->client_socket, 0666,
                           NO_OWNER, NULL, reterr);
    if (r == 0 && !is_passed(a, ACTIVATION_ADMIN, NULL))
        r = listen_created(g, ACTIVATION_ADMIN, s->admin_socket, 0666, NO_OWNER,
                           NULL, reterr);
    for (size_t i = 0; r == 0 && i < s->n_lacmes; i++) {
        const struct settings_lacme *l = &s->lacmes[i];

        if (l->socket && !is_passed(a, ACTIVATION_LACME, l->name))
            listen_lacme(g, l);
    }
    return r;
}

int listen_all(struct guardian *g, struct errmsg *reterr)
{
    CLEANUP(activation_deinit) struct activation a = { 0 };
    int r;

    r = activation_take(&a, reterr);
    if (r)
        return r < 0 ? r : -EINVAL;
    r = listen_passed(g, &a, reterr);
    return r ? r : listen_own(g, &a, reterr);
}
