/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-shim/ctl-stub.h"

/* Which certificates a client renews, by the names of its files: for a person
 * who is about to stop it. */

struct where {
    const char *under, *name, *suffix, *without;
};

static const struct where places[CLIENT_COUNT] = {
    [CLIENT_CERTBOT] = { "renewal", "*.conf", ".conf", NULL },
    [CLIENT_LEGO] = { "certificates", "*.crt", ".crt", ".issuer.crt" },
    [CLIENT_DEHYDRATED] = { "certs", "cert.pem", "/cert.pem", NULL },
};

static bool ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path);
    size_t k = suffix ? strlen(suffix) : 0;

    return suffix && n >= k && strcmp(path + n - k, suffix) == 0;
}

static int add(const struct where *w, const char *path, struct buf *ret)
{
    const char *name = path + strlen(w->under) + 1;

    if (ends_with(path, w->without))
        return 0;
    return buf_printf(ret, "%s%.*s", ret->len ? " " : "",
                      (int)(strlen(name) - strlen(w->suffix)), name);
}

int adopt_stops(struct adopt *a, struct buf *ret)
{
    const struct where *w = &places[a->kind];
    CLEANUP_FREE struct owner_found *found = calloc(1, sizeof(*found));
    struct errmsg err = { 0 };
    int r = found ? 0 : -ENOMEM;

    if (!w->under || r)
        return r ? ctl_fail_errno(r, a->path) : CTL_EXIT_DONE;
    r = owner_files_find(a->files, w->under, w->name, 1, found, &err);
    for (unsigned i = 0; r == 0 && i < found->n; i++)
        r = add(w, found->path[i], ret);
    if (r == 0 && found->more)
        r = buf_append_str(ret, " and more");
    return r ? ctl_fail_files(r, &err, a->path) : CTL_EXIT_DONE;
}
