/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"

/**
 * records_until_parse() - persistUntil as people write it
 * @text:  "2027-01-31" (when that day begins, UTC), an RFC 3339 time,
 *         "365d" (s, min, h, d, w, y; from now), or "@1801353600"
 * @ret_s: seconds since 1970, later than @now_s
 *
 * A number without a unit is neither a time nor a duration to everybody who
 * reads it: refused. A year is 365 days.
 *
 * Return: 0; RECORDS_UNTIL_E_INVALID with *reterr.
 */
int records_until_parse(const char *text, int64_t now_s, int64_t *ret_s,
                        struct errmsg *reterr) MUST_CHECK;
#define RECORDS_UNTIL_E_INVALID 1

/* records_time_format() - "2027-01-31T00:00:00Z", from 1970 to 9999. */
#define RECORDS_TIME_MAX 24
void records_time_format(int64_t s, char ret[static RECORDS_TIME_MAX]);
