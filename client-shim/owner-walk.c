/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looking for files by their names, for the child of owner-files.c. */
#include "client-shim/owner-child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES_MAX 100000

struct walk {
    const struct owner_request *q;
    struct owner_reply *ret;
    unsigned entries; /* seen in all */
};

static bool is_named(const char *name, const char *want)
{
    size_t n = strlen(name);
    size_t tail = strlen(want);

    if (*want != '*')
        return strcmp(name, want) == 0;
    return n >= tail - 1 && strcmp(name + n - (tail - 1), want + 1) == 0;
}

static int found(struct walk *w, const char *path)
{
    if (w->ret->n == OWNER_FOUND_MAX) {
        w->ret->more = 1;
        return 0;
    }
    (void)snprintf(w->ret->path[w->ret->n++], OWNER_PATH_MAX + 1, "%s", path);
    return 0;
}

static int list_dir(struct walk *w, int fd, const char *path, unsigned depth);

static int descend(struct walk *w, int above, const char *name,
                   const char *path, unsigned depth)
{
    CLEANUP_FD int fd =
        owner_child_openat(above, name, O_RDONLY | O_DIRECTORY, 0);

    return fd < 0 ? fd : list_dir(w, fd, path, depth);
}

static int look_at(struct walk *w, int fd, const char *path, const char *name,
                   unsigned depth)
{
    char whole[OWNER_PATH_MAX + 1];
    struct stat st;
    int n =
        snprintf(whole, sizeof(whole), "%s%s%s", path, *path ? "/" : "", name);

    if (n < 0 || (size_t)n >= sizeof(whole))
        return -ENAMETOOLONG;
    if (++w->entries > ENTRIES_MAX)
        return -E2BIG;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISREG(st.st_mode))
        return is_named(name, w->q->other) ? found(w, whole) : 0;
    if (!S_ISDIR(st.st_mode) || depth == 0)
        return 0;
    return descend(w, fd, name, whole, depth - 1);
}

/* In the order of names, so that two runs say the same. */
static int list_dir(struct walk *w, int fd, const char *path, unsigned depth)
{
    struct dirent **names = NULL;
    int n = scandirat(fd, ".", &names, NULL, alphasort);
    int r = n < 0 ? -errno : 0;

    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;

        if (r == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            r = look_at(w, fd, path, name, depth);
        free(names[i]);
    }
    free(names);
    return r;
}

int owner_walk(int dir_fd, const struct owner_request *q,
               struct owner_reply *ret)
{
    struct walk w = { .q = q, .ret = ret };
    int r;

    if (!*q->path)
        return list_dir(&w, dir_fd, "", q->depth);
    r = descend(&w, dir_fd, q->path, q->path, q->depth);
    return r == -ENOENT ? 0 : r;
}
