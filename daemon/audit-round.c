/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rounds. Each takes down where log and key stand, has both files synced, and
 * then saves that key: never one that is ahead of the log on disk. The sync of
 * a round also makes the slot of the round before durable, so the other one may
 * be overwritten. After the last line there is one round more, which puts the
 * same key into the other slot: the keys of earlier lines are gone then.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/audit-internal.h"

static bool all_saved(const struct audit *a)
{
    return a->key.saved == a->key.head.line + 1 && a->key.twice;
}

static void arm(struct audit *a, uint64_t ms)
{
    int r;

    if (a->armed || audit_sync_busy(a->sync))
        return;
    r = sd_event_source_set_time_relative(a->round_timer, ms * 1000);
    if (r >= 0)
        r = sd_event_source_set_enabled(a->round_timer, SD_EVENT_ONESHOT);
    a->armed = r >= 0;
    /* The loop has ended (-ESTALE): the last lines are synced by closing. */
    if (r < 0 && r != -ESTALE)
        a->sync_errno = -r;
}

/* Those whose line is on disk, or who must hear that it may not be. */
static void call_waiters(struct audit *a, uint64_t upto, int result)
{
    while (a->waiters && a->waiters->line <= upto) {
        CLEANUP_FREE struct audit_waiter *w = a->waiters;

        a->waiters = w->next;
        if (!a->waiters)
            a->last_waiter = &a->waiters;
        if (w->fn)
            w->fn(result, w->userdata);
    }
}

static int start_round(struct audit *a)
{
    int r = 0;

    if (audit_sync_busy(a->sync))
        return 0;
    if (a->sync_errno)
        r = audit_file_write_again(&a->file, a->dir_fd, CHAIN_LOG_FILE,
                                   a->synced_end);
    if (r == 0) {
        audit_key_prepare(&a->key, a->file.end);
        a->round_end = a->file.end;
        r = audit_sync_start(a->sync);
    }
    if (r) {
        a->sync_errno = -r;
        arm(a, AUDIT_RETRY_MS);
    }
    return r;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct audit *a = userdata;
    int r;

    (void)source;
    (void)usec;
    a->armed = false;
    if (all_saved(a) && a->sync_errno == 0)
        return 0;
    r = start_round(a);
    if (r)
        call_waiters(a, UINT64_MAX, r);
    return 0;
}

static void note_result(struct audit *a, int r)
{
    if (r && a->sync_errno == 0)
        log_msg(LOG_ERR,
                "%s cannot be synced, nothing is signed until it can: %s",
                a->path, strerror(-r));
    else if (r == 0 && a->sync_errno)
        log_msg(LOG_NOTICE, "%s can be synced again", a->path);
    a->sync_errno = -r;
}

static void on_synced(int r, void *userdata)
{
    struct audit *a = userdata;
    uint64_t line = audit_key_prepared(&a->key);

    /* Unless a rotation meanwhile has synced and saved as much, or more. */
    if (r == 0 && (line > a->key.saved || !a->key.twice)) {
        r = audit_key_save(&a->key);
        if (r == 0)
            a->synced_end = a->round_end;
    }
    note_result(a, r);
    if (r) {
        arm(a, AUDIT_RETRY_MS);
        call_waiters(a, UINT64_MAX, r);
        return;
    }
    call_waiters(a, line - 1, 0);
    if (a->waiters)
        (void)start_round(a); /* or else the timer */
    else if (!all_saved(a))
        arm(a, AUDIT_SYNC_MS);
}

static void in_child(void *userdata)
{
    struct audit *a = userdata;

    audit_key_wipe(&a->key);
}

int audit_round_init(struct audit *a)
{
    const struct audit_sync_hooks hooks = { .done = on_synced,
                                            .in_child = in_child,
                                            .userdata = a };
    int r;

    a->last_waiter = &a->waiters;
    r = audit_sync_new(a->event, &hooks, &a->sync);
    if (r)
        return r;
    r = sd_event_add_time(a->event, &a->round_timer, CLOCK_MONOTONIC,
                          UINT64_MAX, 1, on_timer, a);
    if (r >= 0)
        r = sd_event_source_set_enabled(a->round_timer, SD_EVENT_OFF);
    return r < 0 ? r : 0;
}

void audit_round_deinit(struct audit *a)
{
    /* First: they may write one more line. */
    call_waiters(a, UINT64_MAX, a->sync_errno ? -a->sync_errno : 0);
    a->round_timer = sd_event_source_disable_unref(a->round_timer);
    a->sync = audit_sync_free(a->sync);
}

void audit_round_wanted(struct audit *a)
{
    arm(a, AUDIT_SYNC_MS);
}

int audit_when_synced(struct audit *a, void (*fn)(int r, void *userdata),
                      void *userdata)
{
    struct audit_waiter *w;

    if (a->sync_mode != SETTINGS_SYNC_GROUP ||
        a->key.saved == a->key.head.line + 1) {
        fn(0, userdata);
        return 0;
    }
    w = malloc(sizeof(*w));
    if (!w)
        return -ENOMEM;
    *w = (struct audit_waiter){ .line = a->key.head.line,
                                .fn = fn,
                                .userdata = userdata };
    *a->last_waiter = w;
    a->last_waiter = &w->next;
    (void)start_round(a); /* or else the timer */
    return 0;
}

void audit_forget(struct audit *a, const void *userdata)
{
    for (struct audit_waiter *w = a->waiters; w; w = w->next) {
        if (w->userdata == userdata)
            w->fn = NULL;
    }
}

int audit_flush(struct audit *a)
{
    int r = fdatasync(a->file.fd) < 0 ? -errno : 0;

    /* What is in the newer slot is on disk before the older is overwritten. */
    if (r == 0 && fdatasync(a->key.fd) < 0)
        r = -errno;
    audit_key_prepare(&a->key, a->file.end);
    for (int i = 0; r == 0 && i < 2; i++) {
        r = audit_key_save(&a->key);
        if (r == 0 && fdatasync(a->key.fd) < 0)
            r = -errno;
    }
    if (r == 0)
        a->synced_end = a->file.end;
    note_result(a, r);
    if (r)
        arm(a, AUDIT_RETRY_MS);
    return r;
}
