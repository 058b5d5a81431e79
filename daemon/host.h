/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/*
 * What is wrong with the host around the daemon and none of its business to
 * mend: the clock, and the directories of its sockets. Each finding is a line
 * in the journal when it comes, and a warning as long as it lasts.
 */
enum host_clock {
    HOST_CLOCK_UNKNOWN = 0,
    HOST_CLOCK_GOOD,
    HOST_CLOCK_UNSYNCHRONISED, /* nothing keeps it right, says the kernel */
    HOST_CLOCK_BEFORE_BUILD,   /* and so certainly wrong */
};

struct host {
    enum host_clock clock;
    sd_event_source *timer;
    void (*on_change)(void *userdata);
    void *userdata;
    char **directories; /* texts, NULL-ended or NULL */
};

/* host_judge_clock() - @now_s against @built_s, both in seconds since 1970. */
enum host_clock host_judge_clock(int64_t now_s, int64_t built_s,
                                 bool synchronised);

/* host_clock_text() - for people; NULL when there is nothing to say. */
const char *host_clock_text(enum host_clock c);

/**
 * host_watch_clock() - look at the clock now and each minute
 * @on_change: what is told of it has changed; not called for the first look
 *
 * Return: 0; negative errno.
 */
int host_watch_clock(struct host *h, sd_event *event,
                     void (*on_change)(void *userdata),
                     void *userdata) MUST_CHECK;

/* host_look_at_socket() - who else could put another in the place of @path? */
void host_look_at_socket(struct host *h, const char *path);

/* host_look_at_fd() - the same for a listening socket. */
void host_look_at_fd(struct host *h, int fd);

void host_deinit(struct host *h);
