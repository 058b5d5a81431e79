/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log-limit.h"

#include <syslog.h>

#include "base/log.h"

bool log_limit_take(struct log_limit *l, sd_event *event)
{
    uint64_t now_us = 0;

    (void)sd_event_now(event, CLOCK_MONOTONIC, &now_us);
    if (now_us / 1000 >= l->since_ms + LOG_LIMIT_MS) {
        if (l->suppressed > 0)
            log_msg(LOG_INFO,
                    "%u journal lines about decisions were left out; the audit "
                    "log has them",
                    l->suppressed);
        *l = (struct log_limit){ .since_ms = now_us / 1000 };
    }
    if (l->n < LOG_LIMIT_BURST) {
        l->n++;
        return true;
    }
    l->suppressed++;
    return false;
}
