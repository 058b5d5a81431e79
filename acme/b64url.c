/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/b64url.h"

#include <errno.h>

#include <sodium.h>

#define B64URL_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

static bool b64url_has(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

size_t b64url_span(struct bytes text)
{
    size_t n = 0;

    while (n < text.len && b64url_has(text.data[n]))
        n++;
    return n;
}

int b64url_decode(struct bytes text, struct buf *ret,
                  struct refusal *ret_refusal)
{
    size_t room = text.len / 4 * 3 + 3;
    size_t span, len = 0;
    int r;

    r = buf_reserve(ret, room);
    if (r)
        return r;

    /* Not left to libsodium: where char is signed, 1.0.18 reads each octet from
     * 0x80 up as some letter. */
    span = b64url_span(text);
    if (span < text.len)
        return refuse_at(ret_refusal, REASON_BAD_BASE64URL, span,
                         "character 0x%02x", text.data[span]);
    /* Fails on a single last character and on unused bits that are set. */
    r = sodium_base642bin(ret->data + ret->len, room, (const char *)text.data,
                          text.len, NULL, &len, NULL, B64URL_VARIANT);
    if (r)
        return refuse_at(ret_refusal, REASON_BAD_BASE64URL, text.len,
                         "impossible length or unused bits");

    ret->len += len;
    ret->data[ret->len] = 0;
    return 0;
}

int b64url_encode(struct bytes data, struct buf *ret)
{
    size_t room;
    int r;

    if (data.len > SIZE_MAX / 2)
        return -ENOMEM;
    room = sodium_base64_encoded_len(data.len, B64URL_VARIANT);
    r = buf_reserve(ret, room);
    if (r)
        return r;

    sodium_bin2base64((char *)ret->data + ret->len, room, data.data, data.len,
                      B64URL_VARIANT);
    ret->len += room - 1;
    return 0;
}
