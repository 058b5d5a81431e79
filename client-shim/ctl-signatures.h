/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl.h"

/* What the audit log knows of the signatures of a key or an account. */

struct signatures_query {
    const char *thumbprint, *account; /* NULL: any */
    int64_t since_s;                  /* since 1970; 0: all there are */
};

/**
 * ctl_signatures_fits() - is this line of the log a signature that is asked
 * for? Pure.
 * @ret_s: when; written for every line that says so
 */
bool ctl_signatures_fits(const struct signatures_query *q, struct bytes line,
                         int64_t *ret_s);

extern const struct ctl_option ctl_signatures_options[];
int ctl_signatures_run(struct ctl_context *c);
