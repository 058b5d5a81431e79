/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/address.h"

#include <stdio.h>
#include <string.h>

#include "acme/dns-name.h"

/* The first @prefix bits of both are the same. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
    size_t whole = prefix / 8;
    uint8_t mask = (uint8_t)(0xff00 >> (prefix % 8));

    if (whole > 0 && memcmp(a, b, whole) != 0)
        return false;
    return prefix % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

/* One to three digits in their one spelling. */
static bool read_prefix(const char *s, unsigned max, unsigned *ret)
{
    unsigned n = 0;

    if (!*s || strlen(s) > 3 || (s[0] == '0' && s[1]))
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        n = n * 10 + (unsigned)(*s - '0');
    }
    *ret = n;
    return n <= max;
}

static bool ends_at_prefix(const struct address_range *range)
{
    for (unsigned bit = range->prefix; bit < range->addr_len * 8; bit++) {
        if (range->addr[bit / 8] & (0x80 >> (bit % 8)))
            return false;
    }
    return true;
}

int address_range_read(const char *text, struct address_range *ret,
                       struct refusal *ret_refusal)
{
    const char *slash = strchrnul(text, '/');
    struct bytes addr = { (const uint8_t *)text, (size_t)(slash - text) };
    struct address_range range = { 0 };
    int r;

    r = ip_text_check(addr, range.addr, &range.addr_len, ret_refusal);
    if (r)
        return r;
    range.prefix = (unsigned)range.addr_len * 8;
    if (*slash && !read_prefix(slash + 1, range.prefix, &range.prefix))
        return refuse(ret_refusal, REASON_BAD_ADDRESS,
                      "/%s is no prefix length of this family", slash + 1);
    if (!ends_at_prefix(&range))
        return refuse(ret_refusal, REASON_BAD_ADDRESS,
                      "the address has bits set beyond its prefix");
    *ret = range;
    return 0;
}

bool address_range_has(const struct address_range *range, const uint8_t *addr,
                       size_t addr_len)
{
    return addr_len == range->addr_len &&
           same_prefix(addr, range->addr, range->prefix);
}
