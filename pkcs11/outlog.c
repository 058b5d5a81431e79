/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/outlog.h"

#include <syslog.h>
#include <unistd.h>

#include "base/log.h"

static void new_interval(struct outlog *o, uint64_t now_ms)
{
    if (now_ms - o->since_ms < OUTLOG_INTERVAL_MS)
        return;
    if (o->dropped > 0)
        log_msg(LOG_WARNING, "token %s: %u more lines of output left out",
                o->name, o->dropped);
    o->since_ms = now_ms;
    o->lines = 0;
    o->dropped = 0;
}

static void put_line(struct outlog *o, uint64_t now_ms)
{
    new_interval(o, now_ms);
    if (o->len > 0) {
        if (o->lines < OUTLOG_BURST)
            log_msg(LOG_WARNING, "token %s: %.*s", o->name, (int)o->len,
                    o->line);
        else
            o->dropped++;
        o->lines++;
    }
    o->len = 0;
}

void outlog_drain(struct outlog *o, uint64_t now_ms)
{
    char buf[4096];
    ssize_t n;

    while ((n = read(o->fd, buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] == '\n' || o->len == OUTLOG_LINE_MAX)
                put_line(o, now_ms);
            if (buf[i] != '\n')
                o->line[o->len++] = buf[i];
        }
    }
}
