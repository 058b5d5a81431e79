/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl.h"

/*
 * ctl_tail_format() - a line of the audit log for people: time, what it is,
 * then the other members as NAME=VALUE; without numbers, MACs and hashes. What
 * is no JSON object is shown as it is. No newline at the end.
 */
int ctl_tail_format(struct bytes line, struct buf *b) MUST_CHECK;
