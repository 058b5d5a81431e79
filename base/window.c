/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/window.h"

#include <string.h>
#include <time.h>

#define DAY_MIN 1440
#define WEEK_MIN (7 * DAY_MIN)

/* ---- reading ---- */

static int bad(struct errmsg *reterr, const char *text)
{
    errmsg_set(reterr,
               "is [DAYS] HH:MM-HH:MM [UTC|local], as in Sat,Sun 02:00-04:00, "
               "not %.60s",
               text);
    return WINDOWS_E_INVALID;
}

static void skip_blanks(const char **p)
{
    while (**p == ' ' || **p == '\t')
        (*p)++;
}

/* 0 is Monday; -1: no day. */
static int read_day(const char **p)
{
    static const char names[] = "MonTueWedThuFriSatSun";

    for (int i = 0; i < 7; i++) {
        if (strncmp(*p, names + (size_t)i * 3, 3) == 0) {
            *p += 3;
            return i;
        }
    }
    return -1;
}

/* False: there is something else than days. */
static bool read_days(const char **p, unsigned *ret)
{
    unsigned days = 0;

    for (;;) {
        int first = read_day(p);
        int last = first;

        if (first >= 0 && strncmp(*p, "..", 2) == 0) {
            *p += 2;
            last = read_day(p);
        }
        if (first < 0 || last < 0)
            return false;
        for (int d = first;; d = (d + 1) % 7) {
            days |= 1U << d;
            if (d == last)
                break;
        }
        if (**p != ',')
            break;
        (*p)++;
    }
    *ret = days;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_time(const char **p, unsigned *ret)
{
    const char *s = *p;
    unsigned h, m;

    for (int i = 0; i < 5; i++) {
        if (i == 2 ? s[i] != ':' : !is_digit(s[i]))
            return false;
    }
    h = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
    m = (unsigned)(s[3] - '0') * 10 + (unsigned)(s[4] - '0');
    if (m > 59 || h * 60 + m > DAY_MIN)
        return false;
    *p += 5;
    *ret = h * 60 + m;
    return true;
}

static bool read_zone(const char **p, bool *ret_local)
{
    skip_blanks(p);
    if (strncmp(*p, "UTC", 3) == 0) {
        *p += 3;
    } else if (strncmp(*p, "local", 5) == 0) {
        *p += 5;
        *ret_local = true;
    }
    skip_blanks(p);
    return **p == '\0' || **p == ';';
}

static bool read_window(const char **p, struct window *ret)
{
    struct window w = { .days = (1U << 7) - 1 };
    unsigned end;

    skip_blanks(p);
    if (!is_digit(**p)) {
        if (!read_days(p, &w.days) || (**p != ' ' && **p != '\t'))
            return false;
        skip_blanks(p);
    }
    if (!read_time(p, &w.begin_min) || w.begin_min == DAY_MIN || **p != '-')
        return false;
    (*p)++;
    if (!read_time(p, &end) || !read_zone(p, &w.local))
        return false;
    w.min = end > w.begin_min ? end - w.begin_min : end + DAY_MIN - w.begin_min;
    *ret = w;
    return true;
}

int windows_parse(const char *text, struct windows *ret, struct errmsg *reterr)
{
    struct windows all = { .n = 0 };
    const char *p = text;

    do {
        if (all.n == WINDOWS_MAX) {
            errmsg_set(reterr, "are at most %d windows", WINDOWS_MAX);
            return WINDOWS_E_INVALID;
        }
        if (!read_window(&p, &all.items[all.n++]))
            return bad(reterr, text);
    } while (*p++ == ';');
    *ret = all;
    return 0;
}

/* ---- when ---- */

/* Minutes since Monday, 00:00. */
static bool week_minute(int64_t now_s, bool local, unsigned *ret)
{
    time_t t = now_s;
    struct tm tm;

    if (!(local ? localtime_r(&t, &tm) : gmtime_r(&t, &tm)))
        return false;
    *ret = (unsigned)((tm.tm_wday + 6) % 7 * DAY_MIN + tm.tm_hour * 60 +
                      tm.tm_min);
    return true;
}

int64_t windows_end(const struct windows *w, int64_t now_s)
{
    int64_t minute_s = now_s - now_s % 60;
    int64_t end_s = 0;
    unsigned now;

    for (unsigned i = 0; i < w->n; i++) {
        const struct window *x = &w->items[i];

        if (!week_minute(now_s, x->local, &now))
            continue;
        for (unsigned d = 0; d < 7; d++) {
            unsigned begin = d * DAY_MIN + x->begin_min;
            unsigned since = (now + WEEK_MIN - begin) % WEEK_MIN;
            int64_t end = minute_s + ((int64_t)x->min - since) * 60;

            if (x->days & (1U << d) && since < x->min && end > end_s)
                end_s = end;
        }
    }
    return end_s;
}

int64_t windows_next(const struct windows *w, int64_t now_s)
{
    int64_t minute_s = now_s - now_s % 60;
    int64_t next_s = 0;
    unsigned now;

    for (unsigned i = 0; i < w->n; i++) {
        const struct window *x = &w->items[i];

        if (!week_minute(now_s, x->local, &now))
            continue;
        for (unsigned d = 0; d < 7; d++) {
            unsigned begin = d * DAY_MIN + x->begin_min;
            unsigned until = (begin + WEEK_MIN - now) % WEEK_MIN;
            int64_t at = minute_s + (until ? until : WEEK_MIN) * (int64_t)60;

            if (x->days & (1U << d) && (next_s == 0 || at < next_s))
                next_s = at;
        }
    }
    return next_s;
}
