/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/issue-renewal.h"

const char *issue_due_by_code(enum issue_due_by by)
{
    switch (by) {
    case ISSUE_DUE_BY_CA:
        return "ari";
    case ISSUE_DUE_BY_LIFETIME:
        return "lifetime";
    case ISSUE_DUE_UNSET:
        break;
    }
    return "unset";
}

/* 0 <= result < len: the digest as a fraction of one. Its first 32 bits are
 * enough, since windows are counted in seconds. */
static int64_t spread(const uint8_t digest[static 32], int64_t len)
{
    uint64_t f = 0;

    for (size_t i = 0; i < 4; i++)
        f = f << 8 | digest[i];
    return (int64_t)(f * (uint64_t)len >> 32);
}

static bool usable(const struct issue_window *w,
                   const struct issue_validity *validity)
{
    return w && w->start_s > 0 && w->start_s < w->end_s &&
           w->end_s - w->start_s < INT32_MAX &&
           w->start_s < validity->not_after_s;
}

struct issue_due issue_due_compute(const struct issue_validity *validity,
                                   const uint8_t digest[static 32],
                                   const struct issue_window *window)
{
    int64_t lifetime_s = validity->not_after_s - validity->not_before_s;
    int64_t end_s;

    if (!usable(window, validity))
        return (struct issue_due){ ISSUE_DUE_BY_LIFETIME,
                                   validity->not_before_s + lifetime_s / 3 * 2 +
                                       lifetime_s % 3 * 2 / 3 };
    end_s = window->end_s < validity->not_after_s ? window->end_s
                                                  : validity->not_after_s;
    return (struct issue_due){ ISSUE_DUE_BY_CA,
                               window->start_s +
                                   spread(digest, end_s - window->start_s) };
}
