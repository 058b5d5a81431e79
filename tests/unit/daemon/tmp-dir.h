/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A new directory for one test, in memory if that can be had (the tests sync a
 * lot); removed with all it holds. */
struct tmp_dir {
    char path[64];
    char file[160];
};

int tmp_dir_new(void **state);
int tmp_dir_free(void **state);

/* tmp_dir_file() - path of NAME in it; valid until the next call. */
const char *tmp_dir_file(struct tmp_dir *d, const char *name);
