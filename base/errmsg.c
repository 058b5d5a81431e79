/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/errmsg.h"

#include <stdarg.h>
#include <stdio.h>

static void set(struct errmsg *e, const char *file, unsigned line,
                const char *fmt, va_list args) PRINTF(4, 0);

static void set(struct errmsg *e, const char *file, unsigned line,
                const char *fmt, va_list args)
{
    if (!e)
        return;
    *e = (struct errmsg){ .line = line };
    (void)snprintf(e->file, sizeof(e->file), "%s", file ? file : "");
    (void)vsnprintf(e->text, sizeof(e->text), fmt, args);
}

void errmsg_set(struct errmsg *e, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set(e, NULL, 0, fmt, args);
    va_end(args);
}

void errmsg_set_at(struct errmsg *e, const char *file, unsigned line,
                   const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set(e, file, line, fmt, args);
    va_end(args);
}

int errmsg_format(const struct errmsg *e, struct buf *b)
{
    if (e->file[0] && e->line > 0)
        return buf_printf(b, "%s:%u: %s", e->file, e->line, e->text);
    if (e->file[0])
        return buf_printf(b, "%s: %s", e->file, e->text);
    return buf_append_str(b, e->text);
}
