/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Names of users and groups from the system (nsswitch.conf(5)), so that users
 * that systemd makes for a running service are found as well.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "policy/policy.h"

/* Entries of groups with many members are long. */
#define NSS_BUFFER_MIN 1024
#define NSS_BUFFER_MAX (16u << 20)

typedef int (*nss_lookup_fn)(const char *name, char *buffer, size_t size,
                             uint32_t *ret);

static int nss_user(const char *name, char *buffer, size_t size, uint32_t *ret)
{
    struct passwd pw;
    struct passwd *found = NULL;
    int r = getpwnam_r(name, &pw, buffer, size, &found);

    if (r)
        return -r;
    if (!found)
        return -ENOENT;
    *ret = found->pw_uid;
    return 0;
}

static int nss_group(const char *name, char *buffer, size_t size, uint32_t *ret)
{
    struct group gr;
    struct group *found = NULL;
    int r = getgrnam_r(name, &gr, buffer, size, &found);

    if (r)
        return -r;
    if (!found)
        return -ENOENT;
    *ret = found->gr_gid;
    return 0;
}

static int nss_lookup(const char *name, nss_lookup_fn fn, uint32_t *ret)
{
    char small[NSS_BUFFER_MIN];
    int r = fn(name, small, sizeof(small), ret);

    for (size_t size = 2 * sizeof(small);
         r == -ERANGE && size <= NSS_BUFFER_MAX; size *= 2) {
        CLEANUP_FREE char *buffer = malloc(size);

        if (!buffer)
            return -ENOMEM;
        r = fn(name, buffer, size, ret);
    }
    return r;
}

static int nss_uid(const char *name, uid_t *ret, void *userdata)
{
    (void)userdata;
    return nss_lookup(name, nss_user, ret);
}

static int nss_gid(const char *name, gid_t *ret, void *userdata)
{
    (void)userdata;
    return nss_lookup(name, nss_group, ret);
}

const struct policy_names policy_names_nss = { nss_uid, nss_gid, NULL };
