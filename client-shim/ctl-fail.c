/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * Part of the text comes from the CA, the daemon or a file: no control
 * character of it reaches a terminal.
 */
static void fail_print(char *text)
{
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    (void)fprintf(stderr, "guardianctl: %s\n", text);
}

int ctl_fail(enum ctl_exit code, const char *fmt, ...)
{
    char text[2048];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fail_print(text);
    return (int)code;
}

int ctl_fail_at(enum ctl_exit code, const struct errmsg *e)
{
    if (e->file[0] && e->line > 0)
        return ctl_fail(code, "%s:%u: %s", e->file, e->line, e->text);
    if (e->file[0])
        return ctl_fail(code, "%s: %s", e->file, e->text);
    return ctl_fail(code, "%s", e->text);
}

static enum ctl_exit errno_exit(int r)
{
    switch (-r) {
    case EACCES:
    case EPERM:
        return CTL_EXIT_NOT_PERMITTED;
    case ENOMEM:
    case EAGAIN:
    case ETIMEDOUT:
    case ENOSPC:
        return CTL_EXIT_TRY_AGAIN;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
        return CTL_EXIT_CONFIG;
    default:
        return CTL_EXIT_UNAVAILABLE;
    }
}

int ctl_fail_errno(int r, const char *what)
{
    return ctl_fail(errno_exit(r), "%s: %s", what, strerror(r < 0 ? -r : r));
}

int ctl_fail_load(int r, const struct errmsg *e, const char *what)
{
    if (!e->text[0])
        return ctl_fail_errno(r, what);
    return ctl_fail_at(r == -EACCES || r == -EPERM ? CTL_EXIT_NOT_PERMITTED
                                                   : CTL_EXIT_CONFIG,
                       e);
}
