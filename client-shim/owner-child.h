/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdnoreturn.h>

#include "client-shim/owner-files.h"

/* What owner-files.c and its child say to each other. */

enum owner_op {
    OWNER_OP_UNSET = 0,
    OWNER_OP_FIND,
    OWNER_OP_READ, /* the answer has a pipe with the content */
    OWNER_OP_REPLACE,
    OWNER_OP_PROBE,
    OWNER_OP_KEEP,
    OWNER_OP_LOCK_RECORD,
    OWNER_OP_LOCK_THERE,
    OWNER_OP_COUNT
};

struct owner_request {
    uint32_t op;
    uint32_t depth;
    uint32_t mode;
    uint32_t content_len;
    struct owner_stamp was;
    char path[OWNER_PATH_MAX + 1];
    char other[OWNER_PATH_MAX + 1]; /* a name; the second one of a file */
    uint8_t content[OWNER_CONTENT_MAX];
};

struct owner_reply {
    int32_t r; /* 0; OWNER_E_*; negative errno */
    uint32_t n;
    uint32_t more;
    struct owner_stamp stamp;
    char path[OWNER_FOUND_MAX][OWNER_PATH_MAX + 1];
};

/* owner_child_run() - the child: serves @fd until its other end is closed. */
noreturn void owner_child_run(int fd, int dir_fd, uid_t uid, gid_t gid);

/* owner_child_openat() - openat2(2) that follows no link and stays beneath
 * @dir_fd. Return: a descriptor; negative errno. */
int owner_child_openat(int dir_fd, const char *path, int flags, mode_t mode);
/* The same from anywhere (no beneath). */
int owner_child_open(const char *path, int flags);

/* owner-walk.c */
int owner_walk(int dir_fd, const struct owner_request *q,
               struct owner_reply *ret) MUST_CHECK;
