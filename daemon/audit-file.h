/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/* The file being written: lines go in whole or not at all. */
struct audit_file {
    int fd;            /* O_APPEND */
    uint64_t end;      /* where the next line goes */
    uint64_t reserve;  /* octets to set aside beyond it; 0: none */
    uint64_t reserved; /* up to where that has been done */
    int reserve_errno; /* why it could not be; 0 */
    bool torn;         /* there is half a line beyond the end */
};

/* audit_file_open() - @flags as for open(2), besides those for appending. */
int audit_file_open(struct audit_file *f, int dir_fd, const char *name,
                    int flags, uint64_t reserve) MUST_CHECK;
void audit_file_deinit(struct audit_file *f);

/**
 * audit_file_append() - a line, whole
 *
 * Return: 0; negative errno: the file is as it was, or will be made so before
 * anything else is written.
 */
int audit_file_append(struct audit_file *f, struct bytes line) MUST_CHECK;

/* audit_file_reserve() - set space aside (again, if that failed before). */
void audit_file_reserve(struct audit_file *f);

/* audit_file_cut() - to its end: half a line goes, and what was set aside. */
int audit_file_cut(struct audit_file *f) MUST_CHECK;

/**
 * audit_file_write_again() - the octets from @from on, where they are
 *
 * After a failed fdatasync(2) the kernel takes these pages for clean: another
 * sync would succeed without having written them.
 */
int audit_file_write_again(const struct audit_file *f, int dir_fd,
                           const char *name, uint64_t from) MUST_CHECK;
