/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

/*
 * At most LOG_LIMIT_BURST journal lines of a kind in LOG_LIMIT_MS: peers cause
 * them, and the journal is shared. The audit log has every decision.
 */
#define LOG_LIMIT_BURST 100
#define LOG_LIMIT_MS 10000

struct log_limit {
    uint64_t since_ms;
    unsigned n;
    unsigned suppressed;
};

/* log_limit_take() - may one more line be written? Says itself, once per
 * interval, how many were not. */
bool log_limit_take(struct log_limit *l, sd_event *event);
