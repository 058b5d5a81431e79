/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-answer.h"

#include <string.h>

/*
 * A chain as RFC 8555 section 9.1 wants it, line by line. What the file would
 * hold beside certificates, a server's reader might take for something else.
 */

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"
#define LINE_MAX_LEN 76

/* The next line without its end (LF or CR LF), which must be there but for the
 * last; false at the end of the text. */
static bool next_line(struct bytes *rest, struct bytes *ret)
{
    if (!bytes_next_line(rest, ret))
        return false;
    if (ret->len > 0 && ret->data[ret->len - 1] == '\r' &&
        rest->data > ret->data + ret->len)
        ret->len--;
    return true;
}

static size_t count_base64(struct bytes line)
{
    size_t n = 0;

    while (n < line.len && line.data[n] &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                  "0123456789+/",
                  line.data[n]))
        n++;
    return n;
}

/* Lines up to END: base64 in groups of four, '=' on the last line alone. */
static bool block_ok(struct bytes *rest)
{
    struct bytes line;
    size_t octets = 0;
    bool last = false;

    while (next_line(rest, &line)) {
        size_t n = count_base64(line);

        if (bytes_eq_str(line, END))
            return octets > 0;
        if (last || n == 0 || line.len > LINE_MAX_LEN || line.len % 4 != 0)
            return false;
        for (size_t i = n; i < line.len; i++) {
            if (line.data[i] != '=' || line.len - n > 2)
                return false;
        }
        last = n < line.len;
        octets += n;
    }
    return false;
}

bool net_pem_ok(struct bytes pem)
{
    struct bytes line;
    size_t blocks = 0;

    while (next_line(&pem, &line)) {
        if (line.len == 0)
            continue;
        if (!bytes_eq_str(line, BEGIN) || !block_ok(&pem))
            return false;
        blocks++;
    }
    return blocks > 0;
}
