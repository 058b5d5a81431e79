/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/private-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int private_dir_open(const char *path, mode_t mode, int *ret_fd,
                     struct errmsg *reterr)
{
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

    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        errmsg_set_at(reterr, path, 0,
                      "belongs to uid %u: it must belong to root or to the "
                      "user of the daemon",
                      (unsigned)st.st_uid);
        return PRIVATE_DIR_E_UNTRUSTED;
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        errmsg_set_at(reterr, path, 0,
                      "has mode %04o: nobody but its owner may write there",
                      (unsigned)(st.st_mode & 07777));
        return PRIVATE_DIR_E_UNTRUSTED;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
