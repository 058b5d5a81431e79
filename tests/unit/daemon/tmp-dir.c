/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tmp-dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int tmp_dir_new(void **state)
{
    struct tmp_dir *d = calloc(1, sizeof(*d));

    if (!d)
        return -1;
    (void)snprintf(d->path, sizeof(d->path), "%s/guardian-test-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    *state = d;
    return mkdtemp(d->path) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int tmp_dir_free(void **state)
{
    struct tmp_dir *d = *state;
    int r = nftw(d->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);

    free(d);
    return r;
}

const char *tmp_dir_file(struct tmp_dir *d, const char *name)
{
    (void)snprintf(d->file, sizeof(d->file), "%s/%s", d->path, name);
    return d->file;
}
