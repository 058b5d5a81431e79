/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool owner_ok(const struct stat *st, const struct trusted_rule *rule)
{
    uid_t us = geteuid();

    return st->st_uid == 0 || st->st_uid == us || (rule->root_uses && us == 0);
}

int trusted_check(const struct stat *st, const char *path,
                  const struct trusted_rule *rule, struct errmsg *reterr)
{
    if ((st->st_mode & S_IFMT) != rule->type) {
        errmsg_set_at(reterr, path, 0, "is no %s",
                      rule->type == S_IFDIR ? "directory" : "regular file");
        return TRUSTED_E_NO;
    }
    if (!owner_ok(st, rule)) {
        errmsg_set_at(reterr, path, 0, "must be owned by %s, not by uid %u",
                      rule->owner, st->st_uid);
        return TRUSTED_E_NO;
    }
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        errmsg_set_at(reterr, path, 0,
                      "must be writable by its owner alone (mode %04o)",
                      st->st_mode & 07777);
        return TRUSTED_E_NO;
    }
    return 0;
}

static int cannot(const char *path, struct errmsg *reterr)
{
    int r = -errno;

    errmsg_set_at(reterr, path, 0, "%s", strerror(-r));
    return r;
}

/* Of a sticky directory nobody else can move or remove what is not theirs. */
static int check_above(int fd, const char *path, const struct trusted_rule *of,
                       struct errmsg *reterr)
{
    const struct trusted_rule rule = { .type = S_IFDIR, .owner = of->owner };
    struct stat st;

    if (fstat(fd, &st) < 0)
        return cannot(path, reterr);
    if (st.st_mode & S_ISVTX)
        st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
    return trusted_check(&st, path, &rule, reterr);
}

/* @path: as realpath(3) has it, cut at each slash in turn. */
static int walk(char *path, const struct trusted_rule *rule,
                struct errmsg *reterr)
{
    CLEANUP_FD int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *name = path + 1;
    struct stat st;
    int r;

    if (fd < 0)
        return cannot("/", reterr);
    r = check_above(fd, "/", rule, reterr);
    for (char *slash; r == 0 && (slash = strchr(name, '/')); name = slash + 1) {
        int next;

        *slash = '\0';
        next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        r = next < 0 ? cannot(path, reterr)
                     : check_above(next, path, rule, reterr);
        *slash = '/';
        close(fd);
        fd = next;
    }
    if (r)
        return r;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return cannot(path, reterr);
    return trusted_check(&st, path, rule, reterr);
}

int trusted_path(const char *path, const struct trusted_rule *rule, char **ret,
                 struct errmsg *reterr)
{
    CLEANUP_FREE char *real = realpath(path, NULL);
    int r;

    if (!real)
        return cannot(path, reterr);
    r = walk(real, rule, reterr);
    if (r == 0)
        *ret = TAKE_PTR(real);
    return r;
}
