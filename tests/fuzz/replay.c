/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A target without libFuzzer: every file of the folders that are given goes
 * through it once. A folder that is not there has nothing to say.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "fuzz.h"

#define FILE_MAX (1024 * 1024)

static int replay_file(int dir_fd, const char *name)
{
    CLEANUP_BUF struct buf b = { 0 };
    CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE uint8_t *exact = NULL;
    int r;

    if (fd < 0)
        return -errno;
    r = buf_read(&b, fd, FILE_MAX);
    if (r)
        return r;
    exact = fuzz_copy(buf_bytes(&b));
    (void)LLVMFuzzerTestOneInput(exact, b.len);
    return 0;
}

static int replay_folder(const char *path, unsigned *n)
{
    DIR *dir = opendir(path);
    int r = 0;

    if (!dir)
        return errno == ENOENT ? 0 : -errno;
    for (struct dirent *d = readdir(dir); r == 0 && d; d = readdir(dir)) {
        if (d->d_name[0] == '.')
            continue;
        r = replay_file(dirfd(dir), d->d_name);
        (*n)++;
    }
    (void)closedir(dir);
    return r;
}

int main(int argc, char **argv)
{
    unsigned n = 0;

    for (int i = 1; i < argc; i++) {
        if (replay_folder(argv[i], &n)) {
            perror(argv[i]);
            return 1;
        }
    }
    (void)printf("# %u inputs\n", n);
    return n > 0 ? 0 : 1;
}
