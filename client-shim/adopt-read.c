/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/adopt-read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One function for each client: which of its files says what. */

struct reading {
    struct owner_files *o;
    struct adopt_found *f;
    char dir[OWNER_PATH_MAX + 1]; /* of the account, relative; may be empty */
    /* The same, as the client names it: what follows "/accounts/" or "/ca/" in
     * the whole path. */
    struct buf named;
    struct errmsg *reterr;
};

/* ---- what they share ---- */

static int join(const struct reading *g, const char *name,
                char ret[static OWNER_PATH_MAX + 1])
{
    int n = snprintf(ret, OWNER_PATH_MAX + 1, "%s%s%s", g->dir,
                     g->dir[0] ? "/" : "", name);

    return n < 0 || n > OWNER_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Not there is an empty file; *ret_there says so. */
static int read_file(struct reading *g, const char *path, struct buf *ret,
                     bool *ret_there)
{
    int r = owner_files_read(g->o, path, CLIENT_STATE_FILE_MAX, ret, NULL,
                             g->reterr);

    *ret_there = r == 0;
    return r == -ENOENT ? 0 : r;
}

static int bad_file(struct reading *g, const char *path, int r)
{
    CLEANUP_BUF struct buf whole = { 0 };
    struct errmsg e = *g->reterr;

    if (r != CLIENT_STATE_E_BAD)
        return r;
    if (owner_files_whole(g->o, path, &whole))
        return -ENOMEM;
    errmsg_set_at(g->reterr, buf_str(&whole), e.line, "%s", e.text);
    return ADOPT_FIND_E_BAD;
}

/* A URL of a file, where one fits; an empty one changes nothing. */
static int take_url(struct reading *g, const char *path, const struct buf *url,
                    char ret[static ACME_URL_MAX + 1])
{
    if (url->len == 0)
        return 0;
    if (url->len > ACME_URL_MAX || strlen(buf_str(url)) != url->len ||
        strspn(buf_str(url), "\t\n\r ") > 0 || !strstr(buf_str(url), "://")) {
        errmsg_set(g->reterr, "what should be a URL is none");
        return bad_file(g, path, CLIENT_STATE_E_BAD);
    }
    (void)snprintf(ret, ACME_URL_MAX + 1, "%s", buf_str(url));
    return 0;
}

static int json_url(struct reading *g, const char *name, const char *member,
                    char ret[static ACME_URL_MAX + 1])
{
    char path[OWNER_PATH_MAX + 1];
    CLEANUP_BUF struct buf text = { 0 };
    CLEANUP_BUF struct buf url = { 0 };
    bool there = false;
    int r = join(g, name, path);

    if (r == 0)
        r = read_file(g, path, &text, &there);
    if (r || !there)
        return r;
    r = client_state_json(buf_bytes(&text), member, &url, g->reterr);
    return r ? bad_file(g, path, r) : take_url(g, path, &url, ret);
}

/* *ret is left as it is where nothing is said. @path is relative to the whole
 * directory. */
static int shell_value(struct reading *g, const char *path, const char *name,
                       struct buf *ret)
{
    CLEANUP_BUF struct buf text = { 0 };
    bool there = false;
    int r = read_file(g, path, &text, &there);

    if (r || !there)
        return r;
    r = client_state_shell(buf_bytes(&text), name, ret, g->reterr);
    return r == CLIENT_STATE_E_ABSENT ? 0 : bad_file(g, path, r);
}

static int shell_url(struct reading *g, const char *path, const char *name,
                     char ret[static ACME_URL_MAX + 1])
{
    CLEANUP_BUF struct buf url = { 0 };
    int r = shell_value(g, path, name, &url);

    return r ? r : take_url(g, path, &url, ret);
}

/* Of the account's directory, as its names say it. */
static int named_directory(struct reading *g,
                           int (*fn)(const char *, struct buf *))
{
    CLEANUP_BUF struct buf url = { 0 };
    int r = fn(buf_str(&g->named), &url);

    if (r == CLIENT_STATE_E_ABSENT)
        return 0;
    if (r == 0 && url.len <= ACME_URL_MAX)
        (void)snprintf(g->f->directory, sizeof(g->f->directory), "%s",
                       buf_str(&url));
    return r;
}

/* A key that its configuration has moved is not at its place. */
static int check_not_moved(struct reading *g, const char *path,
                           const char *variable)
{
    CLEANUP_BUF struct buf moved = { 0 };
    CLEANUP_BUF struct buf whole = { 0 };
    int r = shell_value(g, path, variable, &moved);

    if (r == 0)
        r = owner_files_whole(g->o, g->f->key, &whole);
    if (r || moved.len == 0 || strcmp(buf_str(&moved), buf_str(&whole)) == 0)
        return r;
    errmsg_set(g->reterr,
               "%s says that the key is %s: give that path, with --from pem",
               variable, buf_str(&moved));
    return bad_file(g, path, CLIENT_STATE_E_BAD);
}

/* ---- clients ---- */

static int read_certbot(struct reading *g)
{
    int r = json_url(g, "regr.json", "uri", g->f->url);

    return r ? r : named_directory(g, client_state_certbot_directory);
}

static int read_dehydrated(struct reading *g)
{
    int r = json_url(g, "account_id.json", "url", g->f->url);

    return r ? r : named_directory(g, client_state_dehydrated_directory);
}

/* v4: registration.uri; v5: registration.accountURL, and server. */
static int read_lego(struct reading *g)
{
    CLEANUP_FREE struct owner_found *keys = calloc(1, sizeof(*keys));
    int r;

    if (!keys)
        return -ENOMEM;
    r = json_url(g, "account.json", "registration.uri", g->f->url);
    if (r == 0)
        r = json_url(g, "account.json", "registration.accountURL", g->f->url);
    if (r == 0)
        r = named_directory(g, client_state_lego_directory);
    if (r == 0)
        r = json_url(g, "account.json", "server", g->f->directory);
    if (r == 0)
        r = owner_files_find(g->o, g->dir, "*.key", 1, keys, g->reterr);
    if (r)
        return r;
    if (keys->n != 1) {
        errmsg_set(g->reterr,
                   "%s keys lie beside it, where there should be "
                   "one",
                   keys->n ? "several" : "no");
        return bad_file(g, g->f->key, CLIENT_STATE_E_BAD);
    }
    (void)snprintf(g->f->key, sizeof(g->f->key), "%s", keys->path[0]);
    return 0;
}

static int read_getssl(struct reading *g)
{
    int r = shell_url(g, "getssl.cfg", "CA", g->f->directory);

    return r ? r : check_not_moved(g, "getssl.cfg", "ACCOUNT_KEY");
}

/* Of the host and path in the directory's name, with the port that only the
 * configuration of a domain has. */
static int match_acme_sh(struct reading *g, const char *path,
                         const char *variable)
{
    char url[ACME_URL_MAX + 1] = "";
    char *have = g->f->directory;
    int r = shell_url(g, path, variable, url);

    if (r || !url[0] || !client_state_acme_sh_is(buf_str(&g->named), url))
        return r;
    if (*have && strcmp(have, url) != 0) {
        errmsg_set(g->reterr,
                   "two directories may be meant (%s, %s): say which with "
                   "--directory",
                   have, url);
        return bad_file(g, path, CLIENT_STATE_E_BAD);
    }
    (void)snprintf(have, ACME_URL_MAX + 1, "%s", url);
    return 0;
}

static int find_acme_sh_directory(struct reading *g)
{
    CLEANUP_FREE struct owner_found *confs = calloc(1, sizeof(*confs));
    int r;

    if (!confs)
        return -ENOMEM;
    r = owner_files_find(g->o, "", "*.conf", 1, confs, g->reterr);
    for (unsigned i = 0; r == 0 && i < confs->n; i++)
        r = match_acme_sh(g, confs->path[i], "Le_API");
    /* Not all were looked at: which CA it is might be guessed wrongly. */
    if (r == 0 && confs->more)
        return 0;
    if (r == 0 && !g->f->directory[0])
        r = match_acme_sh(g, "account.conf", "DEFAULT_ACME_SERVER");
    if (r || g->f->directory[0])
        return r;
    return named_directory(g, client_state_acme_sh_directory);
}

static int read_acme_sh(struct reading *g)
{
    CLEANUP_BUF struct buf text = { 0 };
    bool there = false;
    int r = join(g, "ca.conf", g->f->conf);

    if (r == 0)
        r = read_file(g, g->f->conf, &text, &there);
    if (r == 0 && there)
        r = shell_url(g, g->f->conf, "ACCOUNT_URL", g->f->url);
    if (!there)
        g->f->conf[0] = '\0';
    if (r == 0)
        r = check_not_moved(g, "account.conf", "ACCOUNT_KEY_PATH");
    return r ? r : find_acme_sh_directory(g);
}

/* ---- together ---- */

/* What follows the last "/UNDER/" in the whole path of the account. */
static int name_of(struct reading *g, const char *under)
{
    CLEANUP_BUF struct buf whole = { 0 };
    CLEANUP_BUF struct buf mark = { 0 };
    const char *found = NULL;
    const char *at;
    int r = owner_files_whole(g->o, g->dir, &whole);

    if (r || !under)
        return r;
    r = buf_printf(&mark, "/%s/", under);
    if (r)
        return r;
    at = buf_str(&whole);
    while ((at = strstr(at, buf_str(&mark)))) {
        at += mark.len;
        found = at;
        at--;
    }
    return found ? buf_append_str(&g->named, found) : 0;
}

static int read_by_kind(struct reading *g)
{
    switch (g->f->kind) {
    case CLIENT_CERTBOT:
        return read_certbot(g);
    case CLIENT_ACME_SH:
        return read_acme_sh(g);
    case CLIENT_LEGO:
        return read_lego(g);
    case CLIENT_DEHYDRATED:
        return read_dehydrated(g);
    case CLIENT_GETSSL:
        return read_getssl(g);
    case CLIENT_HAPROXY:
    case CLIENT_PEM:
        return 0;
    case CLIENT_UNSET:
    case CLIENT_COUNT:
        break;
    }
    return -EINVAL;
}

int adopt_read(struct owner_files *o, const char *mark, struct adopt_found *f,
               struct errmsg *reterr)
{
    const char *slash = strrchr(mark, '/');
    struct reading g = { .o = o, .f = f, .reterr = reterr };
    int r;

    (void)snprintf(f->key, sizeof(f->key), "%s", mark);
    if (slash)
        (void)snprintf(g.dir, sizeof(g.dir), "%.*s", (int)(slash - mark), mark);
    r = name_of(&g, client_kind_facts(f->kind)->under);
    if (r == 0)
        r = read_by_kind(&g);
    buf_deinit(&g.named);
    return r;
}
