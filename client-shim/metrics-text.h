/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

/*
 * The daemon's answers as text for Prometheus (exposition format 0.0.4): each
 * family once, with HELP and TYPE, its samples below it. Pure.
 */

/**
 * metrics_text() - appended to @ret
 * @m:        the answer of Metrics; NULL: the daemon does not answer, and that
 *            is all there is to say
 * @accounts: of all pages of MetricsAccounts
 *
 * Return: 0; -ENOMEM.
 */
int metrics_text(const json_t *m, const json_t *accounts,
                 struct buf *ret) MUST_CHECK;
