/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/names.h"

#include <errno.h>
#include <string.h>
#include <time.h>

uint64_t names_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* FNV-1a; the names are root's own, so nobody aims at collisions, and one
 * only costs a lookup. */
static struct names_entry *names_slot(struct names *n, const char *name,
                                      bool group)
{
    uint32_t h = group ? 2166136261u ^ 1 : 2166136261u;

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return &n->slots[h % NAMES_SLOTS];
}

static int names_ask(struct names *n, const char *name, bool group,
                     uint32_t *ret)
{
    return group ? n->source.gid(name, ret, n->source.userdata)
                 : n->source.uid(name, ret, n->source.userdata);
}

static int names_get(struct names *n, const char *name, bool group,
                     uint32_t *ret)
{
    struct names_entry *e = names_slot(n, name, group);
    uint64_t now = n->now_ms();
    uint32_t id = 0;
    bool exists;

    if (strlen(name) >= NAMES_LEN_MAX)
        return names_ask(n, name, group, ret);
    if (e->until_ms <= now || e->group != group || strcmp(e->name, name) != 0) {
        exists = names_ask(n, name, group, &id) == 0;
        *e = (struct names_entry){ .group = group,
                                   .exists = exists,
                                   .id = id,
                                   .until_ms = now + NAMES_TTL_MS };
        memcpy(e->name, name, strlen(name) + 1);
    }
    if (!e->exists)
        return -ENOENT;
    *ret = e->id;
    return 0;
}

static int names_uid(const char *name, uid_t *ret, void *userdata)
{
    return names_get(userdata, name, false, ret);
}

static int names_gid(const char *name, gid_t *ret, void *userdata)
{
    return names_get(userdata, name, true, ret);
}

void names_init(struct names *n, const struct policy_names *source,
                uint64_t (*now_ms)(void))
{
    *n = (struct names){
        .source = *source,
        .now_ms = now_ms,
        .policy = { .uid = names_uid, .gid = names_gid, .userdata = n },
    };
}
