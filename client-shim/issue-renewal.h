/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/issue-cert.h"

/*
 * When a certificate is to be renewed: at an instant of the window that the CA
 * suggests (RFC 9773 section 4.2), else after two thirds of its lifetime. Pure.
 *
 * The instant is spread over the window by the certificate itself, so that
 * many hosts do not come at once and repeated runs agree.
 */

enum issue_due_by {
    ISSUE_DUE_UNSET = 0,
    ISSUE_DUE_BY_CA,       /* the suggested window */
    ISSUE_DUE_BY_LIFETIME, /* two thirds */
};
const char *issue_due_by_code(enum issue_due_by by); /* "ari", "lifetime" */

struct issue_window {
    int64_t start_s; /* start < end; both 0: there is none */
    int64_t end_s;
};

struct issue_due {
    enum issue_due_by by;
    int64_t at_s;
};

/*
 * A window that begins when the certificate has expired is no advice to follow:
 * then, and without one, it is two thirds of the lifetime.
 */
struct issue_due issue_due_compute(const struct issue_validity *validity,
                                   const uint8_t digest[static 32],
                                   const struct issue_window *window);
