/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"

/* Telling systemd (sd_notify(3)); nothing happens elsewhere. */

void notify_ready(void); /* also: reloaded */
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(const char *status);
