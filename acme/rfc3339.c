/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/rfc3339.h"

#include <string.h>
#include <time.h>

#define DATE_TIME "dddd-dd-ddTdd:dd:dd"
#define OFFSET "dd:dd"
#define FRACTION_MAX 9

/* 'd' stands for a digit, all else for itself. */
static bool matches(struct bytes text, const char *form)
{
    if (text.len < strlen(form))
        return false;
    for (size_t i = 0; form[i]; i++) {
        uint8_t c = text.data[i];

        if (form[i] == 'd' ? c < '0' || c > '9' : c != (uint8_t)form[i])
            return false;
    }
    return true;
}

static int number(struct bytes text, size_t at, size_t len)
{
    int n = 0;

    for (size_t i = at; i < at + len; i++)
        n = n * 10 + (text.data[i] - '0');
    return n;
}

/* Skips ".ddd"; *ret_some if it is more than zero. */
static struct bytes skip_fraction(struct bytes text, bool *ret_some)
{
    size_t n = 1;

    *ret_some = false;
    if (text.len == 0 || text.data[0] != '.')
        return text;
    while (n < text.len && n <= FRACTION_MAX && text.data[n] >= '0' &&
           text.data[n] <= '9') {
        if (text.data[n] != '0')
            *ret_some = true;
        n++;
    }
    if (n == 1)
        return text;
    return (struct bytes){ text.data + n, text.len - n };
}

/* Seconds east of Greenwich; false if @text is no offset. */
static bool read_offset(struct bytes text, int64_t *ret_s)
{
    struct bytes rest;
    int hours, minutes;

    *ret_s = 0;
    if (bytes_eq_str(text, "Z"))
        return true;
    if (text.len != 1 + strlen(OFFSET) ||
        (text.data[0] != '+' && text.data[0] != '-'))
        return false;
    rest = (struct bytes){ text.data + 1, text.len - 1 };
    if (!matches(rest, OFFSET))
        return false;
    hours = number(rest, 0, 2);
    minutes = number(rest, 3, 2);
    *ret_s = (text.data[0] == '-' ? -60 : 60) * (hours * 60 + minutes);
    return hours <= 23 && minutes <= 59;
}

int rfc3339_read(struct bytes text, bool up, int64_t *ret_s,
                 struct refusal *ret_refusal)
{
    struct tm tm = { 0 }, again;
    struct bytes rest;
    int64_t offset, s;
    bool some;

    if (!matches(text, DATE_TIME))
        return refuse(ret_refusal, REASON_BAD_TIME, "no RFC 3339 time");
    tm.tm_year = number(text, 0, 4) - 1900;
    tm.tm_mon = number(text, 5, 2) - 1;
    tm.tm_mday = number(text, 8, 2);
    tm.tm_hour = number(text, 11, 2);
    tm.tm_min = number(text, 14, 2);
    tm.tm_sec = number(text, 17, 2);

    again = tm;
    s = timegm(&again);
    /* timegm() makes the 31st of April the 1st of May. */
    if (again.tm_mday != tm.tm_mday || again.tm_mon != tm.tm_mon ||
        again.tm_hour != tm.tm_hour || again.tm_min != tm.tm_min ||
        again.tm_sec != tm.tm_sec)
        return refuse(ret_refusal, REASON_BAD_TIME, "no such day or hour");

    rest = (struct bytes){ text.data + strlen(DATE_TIME),
                           text.len - strlen(DATE_TIME) };
    rest = skip_fraction(rest, &some);
    if (!read_offset(rest, &offset))
        return refuse(ret_refusal, REASON_BAD_TIME, "no offset");
    s = s - offset + (up && some);
    if (s <= 0)
        return refuse(ret_refusal, REASON_BAD_TIME, "before 1970");
    *ret_s = s;
    return 0;
}
