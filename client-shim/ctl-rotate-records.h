/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-conversation.h"

/* A rotation's records: what the daemon asks for is done in DNS, and the daemon
 * told what came of it. Return: exit codes, as in ctl-daemon.h. */

/* CTL_ROTATE_RECORDS_OPTIONS - for commands that carry on a rotation. */
#define CTL_ROTATE_RECORDS_OPTIONS                                             \
    { "--wait", "SECONDS", "for servers to have the records, and caches (60)", \
      0,        false,     false },                                            \
    {                                                                          \
        "--accept-unverified", "ZONE",                                         \
            "go on though its servers were not seen to have the records", 0,   \
            false, true                                                        \
    }
#define CTL_ROTATE_WAIT_S 60
#define CTL_ROTATE_WAIT_MAX_S 86400

/* ctl_rotate_wait() - --wait, where the command has it; *ret_given: it was. */
int ctl_rotate_wait(const struct ctl_context *c, uint64_t *ret_s,
                    bool *ret_given) MUST_CHECK;

/* ctl_rotate_accept() - --accept-unverified, told to the daemon. @rotation:
 * type Rotation. */
int ctl_rotate_accept(struct ctl_conversation *v,
                      const json_t *rotation) MUST_CHECK;

/**
 * ctl_rotate_work() - one piece of work
 * @rotation: type Rotation, whose records.work says what
 * @ret_code: CTL_EXIT_DONE: ask the daemon what is next; else the rotation
 *            waits for somebody, which was said, and this is the command's code
 *
 * The conversation's nonce is gone afterwards, it may be old by then.
 */
int ctl_rotate_work(struct ctl_conversation *v, const json_t *rotation,
                    int *ret_code) MUST_CHECK;
