/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/lacme.h"

static bool is_b64url(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

int lacme_split_line(struct bytes line, struct bytes *ret_protected,
                     struct bytes *ret_payload)
{
    const uint8_t *dot = line.len ? memchr(line.data, '.', line.len) : NULL;
    struct bytes head, payload;

    if (!dot || dot == line.data)
        return LACME_E_MALFORMED;
    head = (struct bytes){ line.data, (size_t)(dot - line.data) };
    payload = (struct bytes){ dot + 1, line.len - head.len - 1 };
    if (!is_b64url(head) || !is_b64url(payload))
        return LACME_E_MALFORMED;
    *ret_protected = head;
    *ret_payload = payload;
    return 0;
}
