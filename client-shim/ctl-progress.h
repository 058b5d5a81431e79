/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bar on stderr, where that is a terminal; elsewhere nothing. */

struct ctl_progress {
    bool shown;
    const char *what; /* "looking up" */
    size_t before;    /* done in batches that have ended */
    size_t n;
    int64_t drawn_ms;
};

void ctl_progress_begin(struct ctl_progress *p, const char *what, size_t n);

/* ctl_progress_step() - @done of all; drawn some times a second. */
void ctl_progress_step(struct ctl_progress *p, size_t done);

/* ctl_progress_pause() - for what is printed between; goes on by itself. */
void ctl_progress_pause(struct ctl_progress *p);

/* ctl_progress_end() - the line is blank again. */
void ctl_progress_end(struct ctl_progress *p);
