/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define FILE_MODE 0640

int audit_file_open(struct audit_file *f, int dir_fd, const char *name,
                    int flags, uint64_t reserve)
{
    CLEANUP_FD int fd = -1;
    struct stat st;

    fd = openat(dir_fd, name,
                flags | O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if ((st.st_mode & 07777) != FILE_MODE && fchmod(fd, FILE_MODE) < 0)
        return -errno;

    *f = (struct audit_file){ .fd = TAKE_FD(fd),
                              .end = (uint64_t)st.st_size,
                              .reserve = reserve,
                              .reserved = (uint64_t)st.st_size };
    return 0;
}

void audit_file_deinit(struct audit_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    *f = (struct audit_file){ .fd = -1 };
}

void audit_file_reserve(struct audit_file *f)
{
    f->reserve_errno = 0;
    if (f->reserve == 0)
        return;
    if (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, (off_t)f->end,
                  (off_t)f->reserve) < 0)
        f->reserve_errno = errno;
    else
        f->reserved = f->end + f->reserve;
}

int audit_file_cut(struct audit_file *f)
{
    f->torn = true;
    if (ftruncate(f->fd, (off_t)f->end) < 0)
        return -errno;
    f->torn = false;
    f->reserved = f->end;
    return 0;
}

/* A short write is followed by another, which tells why it was short. */
static int write_all(int fd, struct bytes b)
{
    while (b.len > 0) {
        ssize_t n = write(fd, b.data, b.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        b.data += n;
        b.len -= (size_t)n;
    }
    return 0;
}

int audit_file_append(struct audit_file *f, struct bytes line)
{
    int r;

    if (f->torn) {
        r = audit_file_cut(f);
        if (r)
            return r;
    }
    r = write_all(f->fd, line);
    if (r) {
        int e = audit_file_cut(f);

        return e ? e : r;
    }
    f->end += line.len;
    if (f->reserve_errno == 0 && f->reserved < f->end + f->reserve / 2)
        audit_file_reserve(f);
    return 0;
}

int audit_file_write_again(const struct audit_file *f, int dir_fd,
                           const char *name, uint64_t from)
{
    CLEANUP_FD int fd = -1; /* one that does not append */
    uint8_t block[16384];

    fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    while (from < f->end) {
        size_t want = f->end - from < sizeof(block) ? (size_t)(f->end - from)
                                                    : sizeof(block);
        ssize_t n = pread(fd, block, want, (off_t)from);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        if (pwrite(fd, block, (size_t)n, (off_t)from) != n)
            return errno ? -errno : -EIO;
        from += (uint64_t)n;
    }
    return 0;
}
