/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/reason.h"
#include "base/bytes.h"

/**
 * rfc3339_read() - a date and time, as JSON in ACME has them (RFC 3339)
 * @up:    a fraction of a second counts as a whole one; else it is dropped
 * @ret_s: seconds since 1970, more than 0
 *
 * Upper-case T and Z, no leap second: what Go's reader takes, and others too.
 */
int rfc3339_read(struct bytes text, bool up, int64_t *ret_s,
                 struct refusal *ret_refusal) MUST_CHECK;
