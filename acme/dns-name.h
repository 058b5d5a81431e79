/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/reason.h"
#include "base/bytes.h"

#define DNS_NAME_MAX 253

/**
 * dns_name_check() - a host name in the one form that is signed
 * @allow_wildcard: one leading "*." may stand before it
 *
 * Lower-case letters, digits and inner hyphens; labels of 1..63, at most 253
 * octets in all, at least two labels; no trailing dot, no underscore; the last
 * label is not all digits (RFC 3696 section 2), so no address passes. A label
 * with "--" in positions 3 and 4 must be a valid A-label ("xn--", decodable by
 * IDNA2008).
 */
int dns_name_check(struct bytes name, bool allow_wildcard,
                   struct refusal *ret_refusal) MUST_CHECK;

/* ip_text_check() - an IPv4 or IPv6 address in canonical text (RFC 5952;
 * RFC 8738 section 3). *ret_addr gets 4 or 16 octets, *ret_len says which. */
int ip_text_check(struct bytes text, uint8_t ret_addr[static 16],
                  size_t *ret_len, struct refusal *ret_refusal) MUST_CHECK;
