/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/config-dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/trusted.h"

static int cannot_open(const char *path, int error, struct errmsg *reterr)
{
    errmsg_set_at(reterr, path, 0, "cannot be opened: %s", strerror(error));
    return -error;
}

static int open_checked(int dir_fd, const char *name, const char *path,
                        mode_t type, int *ret_fd, struct errmsg *reterr)
{
    const struct trusted_rule rule = { .type = type, .owner = "root" };
    CLEANUP_FD int fd = -1;
    struct stat st;

    /* O_NONBLOCK: a FIFO is refused below, not waited for. */
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return cannot_open(path, errno, reterr);
    if (trusted_check(&st, path, &rule, reterr))
        return CONFIG_E_INVALID;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* *ret_fd is -1 when there is no directory. */
static int open_dir(const struct config_dir *d, int *ret_fd,
                    struct errmsg *reterr)
{
    int r = open_checked(AT_FDCWD, d->path, d->path, S_IFDIR, ret_fd, reterr);

    return r == -ENOENT ? 0 : r;
}

static int read_file(const struct config_dir *d, int dir_fd, const char *name,
                     config_dir_fn fn, void *userdata, struct errmsg *reterr)
{
    CLEANUP_FREE char *stem = strndup(name, strlen(name) - strlen(d->suffix));
    CLEANUP_CONFIG struct config *config = NULL;
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_FD int fd = -1;
    int r = buf_printf(&path, "%s/%s", d->path, name);

    if (r || !stem)
        return -ENOMEM;
    r = open_checked(dir_fd, name, buf_str(&path), S_IFREG, &fd, reterr);
    if (r == 0)
        r = config_read(fd, buf_str(&path), d->schema, &config, reterr);
    return r ? r : fn(config, buf_str(&path), stem, userdata, reterr);
}

static int read_one_of_many(const struct config_dir *d, int dir_fd,
                            const char *name, config_dir_fn fn, void *userdata,
                            struct errmsg *reterr)
{
    struct errmsg e = { 0 };
    int r = read_file(d, dir_fd, name, fn, userdata, &e);

    if (r == CONFIG_E_INVALID && d->bad)
        return d->bad(&e, userdata);
    if (r && reterr)
        *reterr = e;
    return r;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t len = strlen(suffix);

    return name[0] != '.' && n > len && strcmp(name + n - len, suffix) == 0;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int config_dir_each(const struct config_dir *d, config_dir_fn fn,
                    void *userdata, struct errmsg *reterr)
{
    struct dirent **names = NULL;
    CLEANUP_FD int fd = -1;
    int n = 0;
    int r = open_dir(d, &fd, reterr);

    if (r || fd < 0)
        return r;
    n = scandirat(fd, ".", &names, is_visible, by_name);
    if (n < 0)
        return cannot_open(d->path, errno, reterr);
    for (int i = 0; i < n; i++) {
        if (r == 0 && has_suffix(names[i]->d_name, d->suffix))
            r = read_one_of_many(d, fd, names[i]->d_name, fn, userdata, reterr);
        free(names[i]);
    }
    free(names);
    return r;
}

int config_dir_one(const struct config_dir *d, const char *stem,
                   config_dir_fn fn, void *userdata, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_FD int fd = -1;
    int r = open_dir(d, &fd, reterr);

    if (r || fd < 0)
        return r;
    r = buf_printf(&name, "%s%s", stem, d->suffix);
    if (r || strchr(stem, '/') || !has_suffix(buf_str(&name), d->suffix))
        return r;
    if (faccessat(fd, buf_str(&name), F_OK, 0) < 0 && errno == ENOENT)
        return 0;
    return read_file(d, fd, buf_str(&name), fn, userdata, reterr);
}
