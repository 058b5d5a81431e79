/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/*
 * How long to look again before going to sleep.
 *
 * Waking up costs more than all our work on a request. So while exactly one
 * request is at the tokens, and right after its answer, the event loop is asked
 * again instead of waited for: as long as such an answer usually takes, or a
 * client to ask again. That is for the one client who asks again and again:
 * several keep us awake anyway, and a slow token is not worth a busy CPU.
 */

#define LINGER_CLIENT_US 50
#define LINGER_TOKEN_MAX_US 200
/* Requests, each after the answer to the one before. */
#define LINGER_STREAK 4

struct linger {
    bool useful;      /* there is another CPU to work meanwhile */
    size_t in_flight; /* requests at the tokens, last time */
    unsigned streak;
    uint64_t since_us;  /* when it became one */
    uint64_t answer_us; /* what an answer takes, on average */
    uint64_t until_us;
};

void linger_init(struct linger *l);

/* linger_note() - something was done; @in_flight requests are at the tokens. */
void linger_note(struct linger *l, size_t in_flight, uint64_t now_us);

/* linger_wants() - look again instead of sleeping. */
bool linger_wants(const struct linger *l, uint64_t now_us);
