/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/config.h"

/*
 * A directory of files with one suffix, as accounts.d: read in name order, by
 * octets whatever the locale. Directory and files belong to root or to this
 * process's user, and nobody else may write them.
 */

struct config_dir {
    const char *path;
    const char *suffix; /* ".account" */
    const struct config_schema *schema;
    /* Of a file that cannot be used; what it returns is as of config_dir_fn.
     * NULL: such a file ends the reading. */
    int (*bad)(const struct errmsg *e, void *userdata);
};

/**
 * config_dir_fn - one file
 * @stem: its name without the suffix
 *
 * Return: 0 to go on; anything else ends the reading and is returned.
 */
typedef int (*config_dir_fn)(const struct config *config, const char *file,
                             const char *stem, void *userdata,
                             struct errmsg *reterr);

/* config_dir_each() - no directory: no files. Return: 0; CONFIG_E_INVALID with
 * *reterr; negative errno with *reterr; what @fn returned. */
int config_dir_each(const struct config_dir *d, config_dir_fn fn,
                    void *userdata, struct errmsg *reterr) MUST_CHECK;

/* config_dir_one() - the file of one stem; no file is no error, and @fn is not
 * called. */
int config_dir_one(const struct config_dir *d, const char *stem,
                   config_dir_fn fn, void *userdata,
                   struct errmsg *reterr) MUST_CHECK;
