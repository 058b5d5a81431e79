/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/sealed-name.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_plain(char c, bool first)
{
    if (c == '.')
        return !first; /* no hidden files, no ".." */
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == ':' || c == '_' || c == '-';
}

int sealed_name_escape(const char *label, struct buf *ret)
{
    size_t before = ret->len;
    int r = 0;

    if (label[0] == '\0')
        return -EINVAL;
    for (const char *p = label; r == 0 && *p; p++) {
        if (is_plain(*p, p == label))
            r = buf_append_char(ret, *p);
        else
            r = buf_printf(ret, "%%%02X", (unsigned char)*p);
    }
    if (r == 0)
        r = buf_append_str(ret, SEALED_SUFFIX);
    if (r)
        return r;
    return ret->len - before > NAME_MAX ? -ENAMETOOLONG : 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int sealed_name_unescape(const char *name, char ret[static TOKEN_LABEL_MAX + 1])
{
    CLEANUP_BUF struct buf again = { 0 };
    char label[TOKEN_LABEL_MAX + 1] = "";
    size_t len = strlen(name);
    size_t n = 0;

    if (len <= strlen(SEALED_SUFFIX) ||
        strcmp(name + len - strlen(SEALED_SUFFIX), SEALED_SUFFIX) != 0)
        return -EINVAL;
    len -= strlen(SEALED_SUFFIX);
    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len ? hex_digit(name[i + 1]) : -1;
        int low = i + 2 < len ? hex_digit(name[i + 2]) : -1;

        if (n == TOKEN_LABEL_MAX)
            return -EINVAL;
        label[n] = name[i];
        if (name[i] == '%') {
            if (high < 0 || low < 0)
                return -EINVAL;
            label[n] = (char)(high * 16 + low);
            i += 2;
        }
        n++;
    }
    /* One name for one label, so that no two files claim the same key. */
    if (sealed_name_escape(label, &again) || strcmp(buf_str(&again), name) != 0)
        return -EINVAL;
    memcpy(ret, label, sizeof(label));
    return 0;
}
