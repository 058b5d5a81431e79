/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * While one thread makes or destroys a key, no other does the same or looks for
 * one. SoftHSM2 rebuilds its index of objects meanwhile: a key that is there is
 * then not found, which the daemon would take for a key that is gone, and of
 * two keys that are made at once one fails with CKR_GENERAL_ERROR.
 *
 * A token that needs long for a key must not keep the others from theirs until
 * the watchdog ends the process: they go on without their turn then.
 */
#include "pkcs11/cryptoki.h"

#include <time.h>

#define PART_OF_TIMEOUT 4

static struct timespec wait_until(const struct backend *b)
{
    uint64_t ms = b->settings->timeout_ms / PART_OF_TIMEOUT;
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

struct cryptoki_turn cryptoki_turn_look(struct backend *b)
{
    struct timespec t = wait_until(b);
    int e = pthread_rwlock_clockrdlock(&b->objects, CLOCK_MONOTONIC, &t);

    return (struct cryptoki_turn){ e ? NULL : &b->objects };
}

struct cryptoki_turn cryptoki_turn_change(struct backend *b)
{
    struct timespec t = wait_until(b);
    int e = pthread_rwlock_clockwrlock(&b->objects, CLOCK_MONOTONIC, &t);

    return (struct cryptoki_turn){ e ? NULL : &b->objects };
}

void cryptoki_turn_end(struct cryptoki_turn *turn)
{
    if (turn->held)
        (void)pthread_rwlock_unlock(turn->held);
}
