/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/ahead.h"

#include <string.h>

static bool same_key(const struct ahead *h, const struct token_request *request)
{
    return request->op == TOKEN_OP_SIGN &&
           memcmp(h->label, request->label, sizeof(h->label)) == 0;
}

bool ahead_take(struct ahead *h, const struct token_request *request,
                bool key_is_known, uint64_t now_us)
{
    uint64_t pause_us = now_us - h->answered_us;
    bool begun = h->begun;

    h->begun = false;
    h->asked_us = now_us;
    if (!same_key(h, request) || pause_us > AHEAD_PAUSE_US)
        h->streak = 0;
    return begun && (!same_key(h, request) || !key_is_known ||
                     pause_us > AHEAD_FRESH_US);
}

bool ahead_wanted(struct ahead *h, const struct token_request *request,
                  bool good, uint64_t now_us)
{
    h->answered_us = now_us;
    if (!good || request->op != TOKEN_OP_SIGN ||
        now_us - h->asked_us > AHEAD_FAST_US) {
        h->streak = 0;
        return false;
    }
    memcpy(h->label, request->label, sizeof(h->label));
    if (h->streak < AHEAD_STREAK)
        h->streak++;
    h->begun = h->streak == AHEAD_STREAK;
    return h->begun;
}
