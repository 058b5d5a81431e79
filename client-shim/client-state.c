/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/client-state.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "acme/b64url.h"
#include "acme/json-strict.h"
#include "acme/known-cas.h"

/* JSON, and what the names of directories and files say; shell text is in
 * client-state-shell.c. */

#define SCHEME "https://"
#define RETIRED "This account's key is in acme-guardian now"

static int bad(struct errmsg *reterr, const char *what)
{
    errmsg_set(reterr, "%s", what);
    return CLIENT_STATE_E_BAD;
}

/* *at becomes the member that @path names; NULL: there is none. */
static int walk(const char *path, const json_t **at, struct errmsg *reterr)
{
    while (*path) {
        size_t n = strcspn(path, ".");
        char name[64];

        if (!json_is_object(*at))
            return bad(reterr, "is no JSON object where one is expected");
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, path);
        *at = json_object_get(*at, name);
        if (!*at || json_is_null(*at)) {
            *at = NULL;
            return 0;
        }
        path += path[n] ? n + 1 : n;
    }
    return 0;
}

int client_state_json(struct bytes text, const char *path, struct buf *ret,
                      struct errmsg *reterr)
{
    CLEANUP_JSON json_t *root = NULL;
    struct refusal why = { 0 };
    const json_t *at;
    int r;

    r = json_strict_read(text, &root, &why);
    if (r == REFUSED) {
        errmsg_set(reterr, "is no JSON that could be read (%s): damaged?",
                   reason_code(why.reason));
        return CLIENT_STATE_E_BAD;
    }
    if (r)
        return r;
    at = root;
    r = walk(path, &at, reterr);
    if (r || !at)
        return r;
    if (!json_is_string(at)) {
        errmsg_set(reterr, "%s is no string", path);
        return CLIENT_STATE_E_BAD;
    }
    return buf_append(ret, json_string_value(at), json_string_length(at));
}

/* ---- names of directories ---- */

/* The part of @dir up to its last '/'. */
static size_t above(const char *dir)
{
    const char *slash = strrchr(dir, '/');

    return slash ? (size_t)(slash - dir) : 0;
}

int client_state_certbot_directory(const char *dir, struct buf *ret)
{
    size_t n = above(dir);
    int r;

    if (n == 0 || !memchr(dir, '/', n))
        return CLIENT_STATE_E_ABSENT;
    r = buf_append_str(ret, SCHEME);
    return r ? r : buf_append(ret, dir, n);
}

int client_state_dehydrated_directory(const char *dir, struct buf *ret)
{
    const char *slash = strrchr(dir, '/');
    CLEANUP_BUF struct buf url = { 0 };
    int r;

    r = b64url_decode(bytes_from_str(slash ? slash + 1 : dir), &url, NULL);
    if (r == REFUSED)
        return CLIENT_STATE_E_ABSENT;
    if (r)
        return r;
    if (url.len < 2 || url.data[url.len - 1] != '\n' ||
        memchr(url.data, '\0', url.len) || !strstr(buf_str(&url), "://"))
        return CLIENT_STATE_E_ABSENT;
    return buf_append(ret, url.data, url.len - 1);
}

/* "HOST" or "HOST_PORT"; a host name has no '_'. */
static bool is_lego_name(const char *name, size_t n, const char *origin)
{
    const char *host = origin + strlen(SCHEME);

    if (strlen(host) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (name[i] != (host[i] == ':' ? '_' : host[i]))
            return false;
    }
    return true;
}

int client_state_lego_directory(const char *dir, struct buf *ret)
{
    size_t n = strcspn(dir, "/");
    const struct known_ca *found = NULL;

    for (size_t i = 0; known_ca_at(i); i++) {
        const struct known_ca *ca = known_ca_at(i);

        if (strncmp(ca->origin, SCHEME, strlen(SCHEME)) != 0 ||
            !is_lego_name(dir, n, ca->origin))
            continue;
        /* Two directories of one host: which one, its name does not say. */
        if (found)
            return CLIENT_STATE_E_ABSENT;
        found = ca;
    }
    return found ? buf_append_str(ret, found->directory)
                 : CLIENT_STATE_E_ABSENT;
}

/* ---- acme.sh ---- */

bool client_state_acme_sh_is(const char *dir, const char *url)
{
    size_t n = strcspn(dir, "/");
    const char *rest = strstr(url, "://");

    if (!rest || n == 0)
        return false;
    rest += 3;
    if (strncmp(rest, dir, n) != 0)
        return false;
    rest += n;
    if (*rest == ':')
        rest += 1 + strspn(rest + 1, "0123456789");
    /* Of very old ones there is only the host. */
    return dir[n] ? strcmp(rest, dir + n) == 0 : *rest == '/';
}

int client_state_acme_sh_directory(const char *dir, struct buf *ret)
{
    const char *slash = strchr(dir, '/');
    int r;

    if (!slash || !slash[1])
        return CLIENT_STATE_E_ABSENT;
    r = buf_append_str(ret, SCHEME);
    return r ? r : buf_append_str(ret, dir);
}

int client_state_acme_sh_hash(struct bytes content, struct buf *ret)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned char text[64];
    unsigned n = 0;
    int len;

    if (EVP_Digest(content.data, content.len, digest, &n, EVP_sha256(), NULL) !=
        1)
        return -ENOMEM;
    len = EVP_EncodeBlock(text, digest, (int)n);
    return buf_append(ret, text, (size_t)len);
}

/* ---- retired clients ---- */

int client_state_retired(const char *account, struct buf *ret)
{
    return buf_printf(
        ret,
        RETIRED
        ", as the account \"%s\".\n"
        "This file is no key, so that this client stops here, and does not\n"
        "register a new account. The old key lies beside it; the CA does not\n"
        "take it any more. guardianctl issue(1) can issue in its place.\n",
        account);
}

bool client_state_is_retired(struct bytes content)
{
    size_t n = strlen(RETIRED);

    return content.len > n && memcmp(content.data, RETIRED, n) == 0;
}
