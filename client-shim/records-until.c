/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-until.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/persist.h"
#include "acme/rfc3339.h"

static const struct {
    const char *suffix;
    int64_t seconds;
} units[] = {
    { "s", 1 },         { "min", 60 },      { "h", 3600 },
    { "d", 24 * 3600 }, { "w", 7 * 86400 }, { "y", 365 * INT64_C(86400) },
};

#define FORMS                                                                  \
    "a date (2027-01-31), a time (2027-01-31T12:00:00Z), a duration (s, min, " \
    "h, d, w, y: 365d) or @SECONDS since 1970"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at the start. Return: where they end; NULL if there are none or too
 * many. */
static const char *read_number(const char *p, int64_t *ret)
{
    int64_t n = 0;

    if (!is_digit(*p))
        return NULL;
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, *p - '0', &n))
            return NULL;
    }
    *ret = n;
    return p;
}

static bool read_duration(const char *text, int64_t now_s, int64_t *ret_s)
{
    int64_t n = 0;
    const char *unit = read_number(text, &n);

    for (size_t i = 0; unit && i < ARRAY_LEN(units); i++) {
        if (strcmp(unit, units[i].suffix) == 0)
            return !__builtin_mul_overflow(n, units[i].seconds, &n) &&
                   !__builtin_add_overflow(n, now_s, ret_s);
    }
    return false;
}

/* "2027-01-31": read as the time at which it begins, so that the calendar is
 * rfc3339_read()'s business. */
static bool read_date(const char *text, int64_t *ret_s)
{
    char time[sizeof("2027-01-31T00:00:00Z")];
    struct refusal refusal;

    if (strlen(text) == strlen("2027-01-31")) {
        (void)snprintf(time, sizeof(time), "%sT00:00:00Z", text);
        text = time;
    }
    return rfc3339_read(bytes_from_str(text), false, ret_s, &refusal) == 0;
}

static bool read_any(const char *text, int64_t now_s, int64_t *ret_s)
{
    if (text[0] == '@') {
        const char *end = read_number(text + 1, ret_s);

        return end && !*end;
    }
    return read_duration(text, now_s, ret_s) || read_date(text, ret_s);
}

int records_until_parse(const char *text, int64_t now_s, int64_t *ret_s,
                        struct errmsg *reterr)
{
    char time[RECORDS_TIME_MAX];
    int64_t s = 0;

    if (!read_any(text, now_s, &s)) {
        errmsg_set(reterr, "takes " FORMS ", not %.64s", text);
        return RECORDS_UNTIL_E_INVALID;
    }
    if (s > PERSIST_UNTIL_MAX) {
        errmsg_set(reterr, "%.64s is after the year 9999", text);
        return RECORDS_UNTIL_E_INVALID;
    }
    if (s <= now_s) {
        records_time_format(s, time);
        errmsg_set(reterr,
                   "%.64s is %s, which is in the past: no CA would accept such "
                   "a record",
                   text, time);
        return RECORDS_UNTIL_E_INVALID;
    }
    *ret_s = s;
    return 0;
}

void records_time_format(int64_t s, char ret[static RECORDS_TIME_MAX])
{
    time_t t = (time_t)s;
    struct tm tm;

    if (s < 0 || s > PERSIST_UNTIL_MAX || !gmtime_r(&t, &tm) ||
        strftime(ret, RECORDS_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(ret, RECORDS_TIME_MAX, "@%lld", (long long)s);
}
