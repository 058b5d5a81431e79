/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/**
 * struct errmsg - words for a person about one error, never a secret
 *
 * Fixed size, so that reporting an error cannot fail. Optional everywhere: all
 * functions accept NULL. @file is empty where no file is to blame; @line is 0
 * where no line is.
 */
struct errmsg {
    char file[256];
    unsigned line;
    char text[768];
};

void errmsg_set(struct errmsg *e, const char *fmt, ...) PRINTF(2, 3);
void errmsg_set_at(struct errmsg *e, const char *file, unsigned line,
                   const char *fmt, ...) PRINTF(4, 5);

/* errmsg_format() - "FILE:LINE: TEXT", "FILE: TEXT" or "TEXT", appended. */
int errmsg_format(const struct errmsg *e, struct buf *b) MUST_CHECK;
