/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/trusted.h"

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
