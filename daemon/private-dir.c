/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/private-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/trusted.h"

int private_dir_open(const char *path, mode_t mode, int *ret_fd,
                     struct errmsg *reterr)
{
    static const struct trusted_rule rule = { .type = S_IFDIR,
                                              .owner =
                                                  "root or the daemon's user" };
    CLEANUP_FD int fd = -1;
    struct stat st;

    if (mkdir(path, mode) < 0 && errno != EEXIST) {
        int r = -errno;

        errmsg_set_at(reterr, path, 0, "cannot be made: %s", strerror(-r));
        return r;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = -errno;

        errmsg_set_at(reterr, path, 0, "cannot be opened: %s", strerror(-r));
        return r;
    }

    if (trusted_check(&st, path, &rule, reterr))
        return PRIVATE_DIR_E_UNTRUSTED;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
