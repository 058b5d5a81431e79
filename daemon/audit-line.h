/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <time.h>

#include "daemon/audit.h"

/* What is longer is cut, so that a line stays below CHAIN_LINE_MAX whatever
 * a caller sends. A hundred names of full length fit whole. */
#define AUDIT_TEXT_MAX 1024
#define AUDIT_IDENTIFIERS_MAX (28 * 1024)

/**
 * audit_line_format() - the object of line @n, still open, for chain_seal()
 * @n_identifiers: at most so many are listed
 *
 * Return: 0; -ENOMEM; -EINVAL without a type.
 */
int audit_line_format(struct buf *line, uint64_t n, const struct timespec *now,
                      const struct audit_event *event,
                      size_t n_identifiers) MUST_CHECK;
