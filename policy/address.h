/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/reason.h"
#include "base/bytes.h"

/* Address=: ranges of IPv4 and IPv6 addresses (RFC 4632, RFC 4291 2.3). */

struct address_range {
    uint8_t addr[16];
    size_t addr_len; /* 4 or 16 */
    unsigned prefix; /* bits */
};

/**
 * address_range_read() - "192.0.2.0/24", "2001:db8::/32", or one address
 *
 * Canonical text, a prefix without leading zeros, and no bits set beyond it:
 * whoever wrote 192.0.2.17/24 meant either one address or the range.
 *
 * Return: 0; REFUSED.
 */
int address_range_read(const char *text, struct address_range *ret,
                       struct refusal *ret_refusal) MUST_CHECK;

/* address_range_has() - never true across the two families. */
bool address_range_has(const struct address_range *range, const uint8_t *addr,
                       size_t addr_len);
