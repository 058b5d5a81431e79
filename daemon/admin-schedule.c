/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/window.h"
#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/params.h"
#include "daemon/schedule.h"

/* AccountSetSchedule, and what is shown of it: wishes of accounts.d that the
 * daemon has to know. */

#define NOT_GIVEN INT64_MAX

const struct admin_time_limit admin_time_limits[] = {
    { "grace", ROTATION_GRACE_MAX_S },
    { "orderDrain", ROTATION_ORDER_DRAIN_MAX_S },
    { "settle", ROTATION_SETTLE_MAX_S },
    { "cacheTime", ROTATION_CACHE_MAX_S },
};
_Static_assert(ARRAY_LEN(admin_time_limits) == ADMIN_TIMES, "each has a limit");
_Static_assert((ROTATION_SETTLE_MAX_S + ROTATION_CACHE_MAX_S) * 1000 +
                       ROTATION_SWITCH_MS + ROTATE_QUIET_MS <=
                   ROTATION_HOLD_MS,
               "there is time for open orders before the longest hold ends");

bool admin_check_time(struct varlink_call *call, enum admin_time which,
                      int64_t value_s)
{
    char text[64];

    if (value_s <= admin_time_limits[which].max_s)
        return true;
    (void)snprintf(text, sizeof(text), "is at most %lld seconds",
                   (long long)admin_time_limits[which].max_s);
    admin_error_value(call, admin_time_limits[which].name, text);
    return false;
}

/* ---- shown ---- */

static json_t *seconds_json(struct store_seconds x)
{
    return x.set ? json_integer((json_int_t)x.s) : json_null();
}

json_t *admin_schedule_json(const struct account *a)
{
    const struct store_schedule *s = &a->row.schedule;
    const struct schedule_now now = rotate_window(a);

    return json_pack(
        "{s:o,s:s?,s:o,s:o,s:o,s:o,s:b,s:o,s:b,s:o}", "rotate",
        seconds_json(s->rotate), "window", s->window, "orderDrain",
        seconds_json(s->order_drain), "settle", seconds_json(s->settle),
        "cacheTime", seconds_json(s->cache), "grace", seconds_json(s->grace),
        "keepOldKey", (int)s->keep_old, "due", admin_time(now.due_s), "now",
        (int)(now.due && now.open), "opens", admin_time(now.next_s));
}

/* ---- set ---- */

struct wish {
    int64_t rotate_s, times_s[ADMIN_TIMES];
    const char *window;
    bool keep_old;
};

static bool check_rotate(struct varlink_call *call, int64_t s)
{
    if (s == NOT_GIVEN ||
        (s >= SCHEDULE_ROTATE_MIN_S && s <= SCHEDULE_ROTATE_MAX_S))
        return true;
    admin_error_value(call, "rotate", "is an hour to ten years, in seconds");
    return false;
}

static bool check_window(struct varlink_call *call, const char *window)
{
    struct errmsg err = { 0 };
    struct windows w;

    if (!window)
        return true;
    if (strlen(window) > SCHEDULE_WINDOW_MAX)
        errmsg_set(&err, "is at most %d octets", SCHEDULE_WINDOW_MAX);
    else if (windows_parse(window, &w, &err) == 0)
        return true;
    admin_error_value(call, "window", err.text);
    return false;
}

/* False: it was answered. */
static bool check(struct varlink_call *call, const struct wish *w)
{
    for (unsigned i = 0; i < ADMIN_TIMES; i++) {
        if (w->times_s[i] != NOT_GIVEN &&
            !admin_check_time(call, (enum admin_time)i, w->times_s[i]))
            return false;
    }
    return check_rotate(call, w->rotate_s) && check_window(call, w->window);
}

static struct store_seconds seconds(int64_t s)
{
    bool set = s != NOT_GIVEN;

    return (struct store_seconds){ .set = set, .s = set ? s : 0 };
}

static struct store_schedule schedule_of(const struct wish *w)
{
    return (struct store_schedule){
        .rotate = seconds(w->rotate_s),
        .window = params_borrow(w->window), /* only copied from */
        .order_drain = seconds(w->times_s[ADMIN_ORDER_DRAIN]),
        .settle = seconds(w->times_s[ADMIN_SETTLE]),
        .cache = seconds(w->times_s[ADMIN_CACHE]),
        .grace = seconds(w->times_s[ADMIN_GRACE]),
        .keep_old = w->keep_old,
    };
}

ADMIN_METHOD(admin_on_account_set_schedule)
{
    struct guardian *g = userdata;
    struct wish w = { .rotate_s = NOT_GIVEN };
    const char *name = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "rotate", PARAM_NUMBER, true, { .number = &w.rotate_s } },
        { "window", PARAM_STRING, true, { .string = &w.window } },
        { "orderDrain",
          PARAM_NUMBER,
          true,
          { .number = &w.times_s[ADMIN_ORDER_DRAIN] } },
        { "settle",
          PARAM_NUMBER,
          true,
          { .number = &w.times_s[ADMIN_SETTLE] } },
        { "cacheTime",
          PARAM_NUMBER,
          true,
          { .number = &w.times_s[ADMIN_CACHE] } },
        { "grace", PARAM_NUMBER, true, { .number = &w.times_s[ADMIN_GRACE] } },
        { "keepOldKey", PARAM_BOOL, true, { .flag = &w.keep_old } },
    };
    struct store_account row;
    struct account *a;

    for (unsigned i = 0; i < ADMIN_TIMES; i++)
        w.times_s[i] = NOT_GIVEN;
    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, name);
    if (!a || !check(call, &w))
        return;
    row = a->row;
    row.schedule = schedule_of(&w);
    if (admin_begin(g, call, &(struct admin_subject){ .account = name }))
        admin_update_account(g, call, a, &row);
}
