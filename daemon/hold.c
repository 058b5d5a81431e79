/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/hold.h"

#include <errno.h>
#include <stdint.h>

struct hold_entry {
    struct hold *hold;
    struct hold_entry *prev, *next;
    sd_event_source *timer;
    hold_fn fn;
    void *userdata;
};

static void unlink_entry(struct hold_entry *e)
{
    struct hold *h = e->hold;

    if (e->prev)
        e->prev->next = e->next;
    else
        h->first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        h->last = e->prev;
    h->n--;
}

void hold_cancel(struct hold_entry *e)
{
    unlink_entry(e);
    sd_event_source_disable_unref(e->timer);
    free(e);
}

static void finish(struct hold_entry *e, bool released)
{
    hold_fn fn = e->fn;
    void *userdata = e->userdata;

    hold_cancel(e);
    fn(released, userdata);
}

static int on_time(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    finish(userdata, false);
    return 0;
}

int hold_add(struct hold *h, sd_event *event, uint64_t max_ms, hold_fn fn,
             void *userdata, struct hold_entry **ret)
{
    struct hold_entry *e = calloc(1, sizeof(*e));
    int r;

    if (!e)
        return -ENOMEM;
    *e = (struct hold_entry){
        .hold = h, .prev = h->last, .fn = fn, .userdata = userdata
    };
    r = sd_event_add_time_relative(event, &e->timer, CLOCK_MONOTONIC,
                                   max_ms * 1000, 0, on_time, e);
    if (r < 0) {
        free(e);
        return r;
    }
    if (h->last)
        h->last->next = e;
    else
        h->first = e;
    h->last = e;
    h->n++;
    *ret = e;
    return 0;
}

void hold_release(struct hold *h, bool released)
{
    for (size_t n = h->n; n > 0 && h->first; n--)
        finish(h->first, released);
}
