/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/b64url.h"

#include <errno.h>
#include <limits.h>

#include <openssl/evp.h>

/* The value of each character and one; 0: it is none. */
/* clang-format off */
static const uint8_t b64url_values[256] = {
    ['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
    14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
    40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    ['-'] = 63,
    ['_'] = 64,
};
/* clang-format on */

size_t b64url_span(struct bytes text)
{
    size_t n = 0;

    while (n < text.len && b64url_values[text.data[n]])
        n++;
    return n;
}

/*
 * By hand: libsodium takes five times as long, since it hides from caches what
 * is no secret here, and where char is signed, 1.0.18 reads each octet from
 * 0x80 up as some letter.
 */
int b64url_decode(struct bytes text, struct buf *ret,
                  struct refusal *ret_refusal)
{
    size_t span = b64url_span(text);
    unsigned n_bits = 0;
    uint32_t bits = 0;
    uint8_t *out;
    int r;

    r = buf_reserve(ret, text.len / 4 * 3 + 3);
    if (r)
        return r;
    if (span < text.len)
        return refuse_at(ret_refusal, REASON_BAD_BASE64URL, span,
                         "character 0x%02x", text.data[span]);

    out = ret->data + ret->len;
    for (size_t i = 0; i < text.len; i++) {
        bits = bits << 6 | (b64url_values[text.data[i]] - 1u);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            *out++ = (uint8_t)(bits >> n_bits);
        }
    }
    /* A single last character, or unused bits that are set. */
    if (n_bits == 6 || (bits & ((1u << n_bits) - 1)) != 0)
        return refuse_at(ret_refusal, REASON_BAD_BASE64URL, text.len,
                         "impossible length or unused bits");

    ret->len = (size_t)(out - ret->data);
    ret->data[ret->len] = 0;
    return 0;
}

/* By OpenSSL, in the other alphabet and with padding. */
int b64url_encode(struct bytes data, struct buf *ret)
{
    uint8_t *out;
    int r;

    if (data.len > INT_MAX / 2)
        return -ENOMEM;
    r = buf_reserve(ret, (data.len + 2) / 3 * 4);
    if (r)
        return r;
    out = ret->data + ret->len;
    (void)EVP_EncodeBlock(out, data.data, (int)data.len);
    for (; *out && *out != '='; out++) {
        if (*out == '+')
            *out = '-';
        else if (*out == '/')
            *out = '_';
    }
    ret->len = (size_t)(out - ret->data);
    *out = 0;
    return 0;
}
