/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/label.h"

#include <string.h>

int label_format(const char *prefix, const char *instance, const char *account,
                 unsigned generation, struct buf *ret)
{
    return buf_printf(ret, "%s:%s:%s:%u", prefix, instance, account,
                      generation);
}

/* The next part of @p, which is followed by ':'. */
static const char *skip_part(const char *p, const char *part)
{
    size_t n = strlen(part);

    return strncmp(p, part, n) == 0 && p[n] == ':' ? p + n + 1 : NULL;
}

bool label_parse(const char *label, const char *prefix, const char *instance,
                 char ret_account[static LABEL_ACCOUNT_MAX + 1],
                 unsigned *ret_generation)
{
    const char *p = skip_part(label, prefix);
    const char *colon;
    size_t n;

    p = p ? skip_part(p, instance) : NULL;
    colon = p ? strchr(p, ':') : NULL;
    if (!colon || colon == p || colon - p > LABEL_ACCOUNT_MAX)
        return false;
    n = strlen(colon + 1);
    if (n < 1 || n > 9 || colon[1] == '0' ||
        strspn(colon + 1, "0123456789") != n)
        return false;
    memcpy(ret_account, p, (size_t)(colon - p));
    ret_account[colon - p] = '\0';
    *ret_generation = (unsigned)strtoul(colon + 1, NULL, 10);
    return true;
}
