/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/errmsg.h"

/*
 * Times of the week, such as "Sat,Sun 02:00-04:00":
 *
 *   WINDOWS = WINDOW *( ";" WINDOW )
 *   WINDOW  = [ DAYS ] HH:MM "-" HH:MM [ "UTC" | "local" ]
 *   DAYS    = DAY [ ".." DAY ] *( "," DAY [ ".." DAY ] )
 *   DAY     = "Mon" | "Tue" | "Wed" | "Thu" | "Fri" | "Sat" | "Sun"
 *
 * Without days it is every day, without a zone UTC; "local" is the host's. A
 * window whose end is not after its begin ends on the next day. 24:00 is the
 * end of the day.
 */

#define WINDOWS_MAX 16

struct window {
    unsigned days;           /* bit 0 is Monday, of its begin */
    unsigned begin_min, min; /* of the day; how long it is */
    bool local;
};

struct windows {
    struct window items[WINDOWS_MAX];
    unsigned n;
};

/* windows_parse() - Return: 0; WINDOWS_E_INVALID with *reterr. */
int windows_parse(const char *text, struct windows *ret,
                  struct errmsg *reterr) MUST_CHECK;
#define WINDOWS_E_INVALID 1

/* windows_end() - when the window that @now_s is in ends; 0: it is in none. Of
 * several, the last. Where clocks are changed meanwhile, by the hands of the
 * clock before. */
int64_t windows_end(const struct windows *w, int64_t now_s);

/* windows_next() - when the next one after @now_s begins; 0: there is none. */
int64_t windows_next(const struct windows *w, int64_t now_s);
