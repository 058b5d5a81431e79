/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/schedule.h"

#include "base/window.h"

static int64_t due_s(const struct store_account *a,
                     const struct store_rotation *last)
{
    int64_t at_s;

    if (!a->schedule.rotate.set)
        return 0;
    at_s = a->key_since_s + a->schedule.rotate.s;
    if (last && last->state == ROTATION_ABORTED &&
        last->since_s + SCHEDULE_PAUSE_S > at_s)
        at_s = last->since_s + SCHEDULE_PAUSE_S;
    return at_s;
}

struct schedule_now schedule_look(const struct store_account *a,
                                  const struct store_rotation *last,
                                  int64_t now_s)
{
    struct schedule_now x = { .due_s = due_s(a, last), .open = true };
    struct windows windows;
    struct errmsg ignored;

    x.due = x.due_s > 0 && now_s >= x.due_s;
    if (!a->schedule.window)
        return x;
    /* One that cannot be read never opens. */
    x.open = false;
    if (windows_parse(a->schedule.window, &windows, &ignored))
        return x;
    x.end_s = windows_end(&windows, now_s);
    x.open = x.end_s > 0;
    if (!x.open)
        x.next_s = windows_next(&windows, now_s);
    return x;
}
