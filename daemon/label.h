/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/* Key labels: PREFIX:INSTANCE:ACCOUNT:GENERATION. Another instance's keys are
 * never used, and never destroyed. */

#define LABEL_ACCOUNT_MAX 32

int label_format(const char *prefix, const char *instance, const char *account,
                 unsigned generation, struct buf *ret) MUST_CHECK;

/* label_parse() - false: not a label of this prefix and instance. */
bool label_parse(const char *label, const char *prefix, const char *instance,
                 char ret_account[static LABEL_ACCOUNT_MAX + 1],
                 unsigned *ret_generation) MUST_CHECK;
