/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define OUTLOG_LINE_MAX 400

/*
 * What modules print, as log lines: a broken one prints for every call, so no
 * more than OUTLOG_BURST lines in OUTLOG_INTERVAL_MS, and then how many more
 * there were.
 */
#define OUTLOG_BURST 20
#define OUTLOG_INTERVAL_MS 10000

struct outlog {
    int fd; /* borrowed, non-blocking */
    const char *name;
    char line[OUTLOG_LINE_MAX];
    size_t len;
    uint64_t since_ms;
    unsigned lines, dropped;
};

/* outlog_drain() - log what is there to read. */
void outlog_drain(struct outlog *o, uint64_t now_ms);
