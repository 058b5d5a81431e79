/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/client-setup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/client-state.h"

#define WRAPPER "acme-guardian-openssl"
#define PATH_LEN_MAX 255

struct planning {
    const struct client_setup_wish *wish;
    const char *file;
    struct client_setup *ret;
};

/* ---- steps ---- */

static struct client_setup_step *step(struct planning *p,
                                      enum client_setup_kind kind,
                                      const char *fmt, ...) PRINTF(3, 4);
static struct client_setup_step *
step(struct planning *p, enum client_setup_kind kind, const char *fmt, ...)
{
    struct client_setup_step *s = &p->ret->steps[p->ret->n++];
    va_list args;

    *s = (struct client_setup_step){ .kind = kind, .prefix = "" };
    (void)snprintf(s->path, sizeof(s->path), "%s", p->file ? p->file : "");
    va_start(args, fmt);
    (void)vsnprintf(s->text, sizeof(s->text), fmt, args);
    va_end(args);
    return s;
}

static void stub(struct planning *p)
{
    (void)step(p, CLIENT_SETUP_NOTE,
               "its account key is a stub: account adopt --install-stub puts "
               "it there, or guardianctl stub write %s FILE",
               p->wish->account);
}

static void plan_acme_sh(struct planning *p)
{
    const char *slash = strrchr(p->file, '/');
    struct client_setup_step *s;

    s = step(p, CLIENT_SETUP_FILE,
             "#!/bin/sh\nOPENSSL_CONF='%s' exec /usr/bin/openssl \"$@\"\n",
             p->wish->openssl_conf);
    (void)snprintf(s->path, sizeof(s->path), "%.*s/" WRAPPER,
                   (int)(slash - p->file), p->file);
    s->mode = 0755;
    s = step(p, CLIENT_SETUP_SHELL, "%s", s->path);
    s->name = "ACME_OPENSSL_BIN";
    stub(p);
}

static void plan_dehydrated(struct planning *p)
{
    struct client_setup_step *s =
        step(p, CLIENT_SETUP_SHELL, "%s", p->wish->openssl_conf);

    s->name = "OPENSSL_CONF";
    s->prefix = "export ";
    stub(p);
    if (p->wish->key->type != JWK_TYPE_RSA)
        (void)step(p, CLIENT_SETUP_NOTE,
                   "dehydrated before 0.7.1 (Debian 12) takes RSA keys alone");
}

/* It sets OPENSSL_CONF by itself, from this. */
static void plan_getssl(struct planning *p)
{
    step(p, CLIENT_SETUP_SHELL, "%s", p->wish->openssl_conf)->name = "SSLCONF";
    stub(p);
}

static void plan_acme_tiny(struct planning *p)
{
    step(p, CLIENT_SETUP_FILE,
         "#!/bin/sh\nOPENSSL_CONF='%s' exec acme-tiny \"$@\"\n",
         p->wish->openssl_conf)
        ->mode = 0755;
    stub(p);
    (void)step(p, CLIENT_SETUP_NOTE, "run %s in the place of acme-tiny",
               p->file);
}

/* It signs when it is in its chroot already, where the socket has to be. */
static void plan_haproxy(struct planning *p)
{
    char bind[PATH_LEN_MAX + 80] = "";
    struct client_setup_step *s;

    if (p->wish->chroot)
        (void)snprintf(bind, sizeof(bind),
                       "BindReadOnlyPaths=/run/acme-guardian:%s/run/"
                       "acme-guardian\n",
                       p->wish->chroot);
    s = step(p, CLIENT_SETUP_FILE, "[Service]\nEnvironment=OPENSSL_CONF=%s\n%s",
             p->wish->openssl_conf, bind);
    s->mode = 0644;
    /* Without it HAProxy signs no more; who runs this again need not know. */
    s->keeps = p->wish->chroot ? NULL : "BindReadOnlyPaths=";
    stub(p);
    (void)step(p, CLIENT_SETUP_RUN, "systemctl daemon-reload");
    (void)step(p, CLIENT_SETUP_RUN, "systemctl restart haproxy.service");
    if (!p->wish->chroot)
        (void)step(p, CLIENT_SETUP_NOTE,
                   "where haproxy.cfg has chroot DIR, say --chroot DIR: the "
                   "daemon's socket has to be in there");
}

static void plan_lacme(struct planning *p)
{
    (void)step(p, CLIENT_SETUP_LACME, "%s", p->wish->lacme_socket);
    (void)step(p, CLIENT_SETUP_RUN,
               "systemctl enable acme-guardian-lacme@%s.socket",
               p->wish->account);
    (void)step(p, CLIENT_SETUP_RUN, "systemctl restart acme-guardian.service");
}

/* ---- clients ---- */

static const struct client {
    const char *name;
    const char *file; /* its usual one */
    const char *what; /* the file is */
    bool rsa_only, full_coordinates;
    bool drops_errors; /* of OpenSSL: the provider has to print them */
    void (*plan)(struct planning *p);
} clients[] = {
    { .name = "acme.sh", .what = "its account.conf", .plan = plan_acme_sh },
    { .name = "dehydrated",
      .file = "/etc/dehydrated/config",
      .what = "its configuration",
      .plan = plan_dehydrated },
    { .name = "getssl", .what = "its getssl.cfg", .plan = plan_getssl },
    { .name = "acme-tiny",
      .what = "a wrapper, to be made",
      .rsa_only = true,
      .plan = plan_acme_tiny },
    { .name = "haproxy",
      .file = "/etc/systemd/system/haproxy.service.d/acme-guardian.conf",
      .what = "a drop-in, to be made",
      .full_coordinates = true,
      .drops_errors = true,
      .plan = plan_haproxy },
    { .name = "lacme",
      .file = "/etc/lacme/lacme.conf",
      .what = "its configuration",
      .plan = plan_lacme },
};

static const struct client *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        if (strcmp(clients[i].name, name) == 0)
            return &clients[i];
    }
    return NULL;
}

/* HAProxy, to 3.5, writes a coordinate without the zero octets before it. */
static bool is_full(const struct jwk *key)
{
    return key->type == JWK_TYPE_RSA || (key->x[0] != 0 && key->y[0] != 0);
}

static int check_key(const struct client *c,
                     const struct client_setup_wish *wish,
                     struct errmsg *reterr)
{
    const struct jwk *key = wish->key;

    if (key->type == JWK_TYPE_ED25519)
        errmsg_set(reterr, "%s cannot sign with Ed25519", c->name);
    else if (c->rsa_only && key->type != JWK_TYPE_RSA)
        errmsg_set(reterr,
                   "%s can sign with RSA alone: account create --alg RS256",
                   c->name);
    else if (c->full_coordinates && !is_full(key))
        errmsg_set(reterr,
                   "%s cannot write this key: a coordinate begins with a zero "
                   "octet; rotate start %s makes another",
                   c->name, wish->account);
    else
        return 0;
    return CLIENT_SETUP_E_KEY;
}

/* It goes into shell words, and into a unit's file. */
static bool is_plain_path(const char *path)
{
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || strchr("'\"\\%$`", *p))
            return false;
    }
    return *path == '/' && strlen(path) <= PATH_LEN_MAX;
}

static int check_paths(const struct client_setup_wish *wish, const char *file,
                       struct errmsg *reterr)
{
    const char *paths[] = { file, wish->openssl_conf, wish->lacme_socket,
                            wish->chroot };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (!paths[i] || is_plain_path(paths[i]))
            continue;
        errmsg_set(reterr,
                   "%s: an absolute path is needed, without blanks and quotes",
                   paths[i]);
        return CLIENT_SETUP_E_FILE;
    }
    return 0;
}

int client_setup_plan(const struct client_setup_wish *wish,
                      struct client_setup *ret, struct errmsg *reterr)
{
    const struct client *c = find(wish->client);
    struct client_setup_wish settled = *wish;
    struct planning p = { .wish = &settled, .ret = ret };
    int r;

    *ret = (struct client_setup){ 0 };
    if (!c) {
        errmsg_set(reterr,
                   "%s: acme.sh, dehydrated, getssl, acme-tiny, haproxy and "
                   "lacme are known",
                   wish->client);
        return CLIENT_SETUP_E_UNKNOWN;
    }
    if (!settled.openssl_conf)
        settled.openssl_conf = c->drops_errors ? GUARDIAN_OPENSSL_STDERR_CONF
                                               : GUARDIAN_OPENSSL_CONF;
    p.file = wish->file ? wish->file : c->file;
    if (!p.file) {
        errmsg_set(reterr, "%s: which file is meant: %s", c->name, c->what);
        return CLIENT_SETUP_E_FILE;
    }
    r = check_paths(&settled, p.file, reterr);
    if (r == 0)
        r = check_key(c, &settled, reterr);
    if (r == 0)
        c->plan(&p);
    return r;
}

/* ---- files ---- */

int client_setup_line(const struct client_setup_step *s, struct buf *ret)
{
    return client_state_shell_set((struct bytes){ NULL, 0 }, s->prefix, s->name,
                                  s->text, ret);
}

static int own_file(const struct client_setup_step *s, struct bytes before,
                    struct buf *ret)
{
    size_t prefix = s->keeps ? strlen(s->keeps) : 0;
    struct bytes line;
    int r = buf_append_str(ret, s->text);

    while (s->keeps && r == 0 && bytes_next_line(&before, &line)) {
        if (line.len < prefix || memcmp(line.data, s->keeps, prefix) != 0)
            continue;
        r = buf_append(ret, line.data, line.len);
        if (r == 0)
            r = buf_append_char(ret, '\n');
    }
    return r;
}

int client_setup_edit(const struct client_setup_step *s, struct bytes before,
                      struct buf *ret)
{
    int r = -EINVAL;

    if (s->kind == CLIENT_SETUP_SHELL)
        r = client_state_shell_set(before, s->prefix, s->name, s->text, ret);
    else if (s->kind == CLIENT_SETUP_LACME)
        r = client_state_lacme(before, s->text, ret);
    else if (s->kind == CLIENT_SETUP_FILE)
        r = own_file(s, before, ret);
    return r > 0 ? CLIENT_SETUP_E_FILE : r;
}
