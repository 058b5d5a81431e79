/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/*
 * fdatasync(2) in a child of its own, so that the event loop never waits for
 * the disk. Without a child (it died, it cannot be forked) the event loop does
 * it itself: slower, but nothing is left out.
 */

struct audit_sync;

struct audit_sync_hooks {
    void (*done)(int r, void *userdata); /* 0 or negative errno */
    void (*in_child)(void *userdata);    /* wipe what the child must not have */
    void *userdata;
};

/* audit_sync_new() - forks at once: the smaller we are, the smaller the child.
 */
int audit_sync_new(sd_event *event, const struct audit_sync_hooks *hooks,
                   struct audit_sync **ret) MUST_CHECK;

/* audit_sync_files() - from now on it is these that are synced; borrowed. */
void audit_sync_files(struct audit_sync *s, int log_fd, int state_fd);

/* audit_sync_start() - ends with done(), from the event loop; one at a time. */
int audit_sync_start(struct audit_sync *s) MUST_CHECK;
bool audit_sync_busy(const struct audit_sync *s);

/* audit_sync_pid() - of the child; 0: there is none. */
pid_t audit_sync_pid(const struct audit_sync *s);

/* audit_sync_free() - the child ends; done() is not called any more. */
struct audit_sync *audit_sync_free(struct audit_sync *s);
