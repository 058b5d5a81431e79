/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    enum reason_kind kind;
} reasons[REASON_COUNT] = { [REASON_UNSET] = { "unset", REASON_KIND_UNSET },
#define X(name, kind, code) [REASON_##name] = { code, REASON_KIND_##kind },
                            REASON_TABLE(X)
#undef X
};

const char *reason_code(enum reason reason)
{
    return reasons[reason < REASON_COUNT ? reason : REASON_UNSET].code;
}

enum reason_kind reason_kind(enum reason reason)
{
    return reasons[reason < REASON_COUNT ? reason : REASON_UNSET].kind;
}

enum reason reason_parse(const char *code)
{
    for (unsigned i = REASON_UNSET + 1; i < REASON_COUNT; i++) {
        if (strcmp(reasons[i].code, code) == 0)
            return (enum reason)i;
    }
    return REASON_UNSET;
}

/* Printable ASCII only: a detail quotes the peer, and cutting it to length must
 * not leave half a character. */
static void refusal_make_printable(char *s)
{
    for (; *s; s++) {
        if (*s < 0x20 || *s > 0x7e)
            *s = '?';
    }
}

PRINTF(4, 0)
static int refuse_v(struct refusal *ret_refusal, enum reason reason,
                    size_t offset, const char *fmt, va_list args)
{
    if (!ret_refusal)
        return REFUSED;

    ret_refusal->reason = reason;
    ret_refusal->offset = offset;
    if (vsnprintf(ret_refusal->detail, sizeof(ret_refusal->detail), fmt, args) <
        0)
        ret_refusal->detail[0] = 0;
    refusal_make_printable(ret_refusal->detail);
    return REFUSED;
}

int refuse(struct refusal *ret_refusal, enum reason reason, const char *fmt,
           ...)
{
    va_list args;
    int r;

    va_start(args, fmt);
    r = refuse_v(ret_refusal, reason, 0, fmt, args);
    va_end(args);
    return r;
}

int refuse_at(struct refusal *ret_refusal, enum reason reason, size_t offset,
              const char *fmt, ...)
{
    va_list args;
    int r;

    va_start(args, fmt);
    r = refuse_v(ret_refusal, reason, offset, fmt, args);
    va_end(args);
    return r;
}
