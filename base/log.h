/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

/*
 * For processes only (the daemon, the token helper): libraries return.
 * Under systemd (stderr is the journal) entries go to the journal with their
 * fields; elsewhere they are lines on stderr. Control characters are replaced,
 * so no value can forge a line or a field. Priorities are those of syslog.h:
 * ERR we failed, WARNING we went on, NOTICE denied, INFO granted, DEBUG.
 */

struct log_field {
    const char *name;  /* a journal field name: A-Z, digits, '_' */
    const char *value; /* NULL: the field is left out */
};

/* log_init() - @ident is SYSLOG_IDENTIFIER; @debug lets LOG_DEBUG through. */
void log_init(const char *ident, bool debug);

void log_msg(int priority, const char *fmt, ...) PRINTF(2, 3);

/* log_event() - with MESSAGE_ID (NULL: none) and up to 32 fields. */
void log_event(int priority, const char *message_id,
               const struct log_field *fields, size_t n_fields, const char *fmt,
               ...) PRINTF(5, 6);
