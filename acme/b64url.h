/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/reason.h"
#include "base/bytes.h"

/*
 * base64url without padding (RFC 7515 section 2, RFC 4648 section 5), strict:
 * no padding, white space or other alphabet, no impossible length, and unused
 * trailing bits are zero, so that one value has one spelling.
 */

/* b64url_span() - how many octets at the start are of the alphabet. */
size_t b64url_span(struct bytes text);

/* b64url_decode() - appended to @ret. Return: 0; REFUSED; -ENOMEM. */
int b64url_decode(struct bytes text, struct buf *ret,
                  struct refusal *ret_refusal) MUST_CHECK;
int b64url_encode(struct bytes data, struct buf *ret) MUST_CHECK;
