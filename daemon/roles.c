/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/roles.h"

#include <stdlib.h>
#include <string.h>

#define UID_NOBODY 65534

static void list_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

void roles_deinit(struct roles *r)
{
    for (size_t i = 0; i < ARRAY_LEN(r->users); i++) {
        list_free(r->users[i]);
        list_free(r->groups[i]);
    }
    *r = (struct roles){ 0 };
}

void roles_take(struct roles *r, struct settings *settings)
{
    roles_deinit(r);
    r->users[ROLE_ADMIN] = TAKE_PTR(settings->admin_users);
    r->users[ROLE_OPS] = TAKE_PTR(settings->ops_users);
    r->users[ROLE_MONITOR] = TAKE_PTR(settings->monitor_users);
    r->groups[ROLE_ADMIN] = TAKE_PTR(settings->admin_groups);
    r->groups[ROLE_OPS] = TAKE_PTR(settings->ops_groups);
    r->groups[ROLE_MONITOR] = TAKE_PTR(settings->monitor_groups);
}

/* All digits: the id itself, which asks nobody. */
static bool parse_id(const char *name, uint32_t *ret)
{
    unsigned long long v;

    if (!*name || strlen(name) > 10 ||
        strspn(name, "0123456789") != strlen(name))
        return false;
    v = strtoull(name, NULL, 10);
    if (v >= UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

static bool lists_uid(char *const *list, const struct peer *peer,
                      const struct policy_names *names)
{
    for (; list && *list; list++) {
        uid_t uid = 0;

        if (!parse_id(*list, &uid) && names->uid(*list, &uid, names->userdata))
            continue;
        if (uid == peer->uid)
            return true;
    }
    return false;
}

static bool lists_gid(char *const *list, const struct peer *peer,
                      const struct policy_names *names)
{
    for (; list && *list; list++) {
        gid_t gid = 0;

        if (!parse_id(*list, &gid) && names->gid(*list, &gid, names->userdata))
            continue;
        if (gid != UID_NOBODY && peer_has_gid(peer, gid))
            return true;
    }
    return false;
}

enum role roles_of(const struct roles *r, const struct peer *peer,
                   const struct policy_names *names)
{
    if (peer->uid == 0)
        return ROLE_ADMIN;
    /* Everybody's ids that do not exist here (containers, NFS). */
    if (peer->uid == UID_NOBODY)
        return ROLE_NONE;
    for (enum role role = ROLE_ADMIN; role > ROLE_NONE; role--) {
        if (lists_uid(r->users[role], peer, names) ||
            lists_gid(r->groups[role], peer, names))
            return role;
    }
    return ROLE_NONE;
}

const char *role_name(enum role role)
{
    switch (role) {
    case ROLE_MONITOR:
        return "monitor";
    case ROLE_OPS:
        return "ops";
    case ROLE_ADMIN:
        return "admin";
    case ROLE_NONE:
        break;
    }
    return "none";
}
