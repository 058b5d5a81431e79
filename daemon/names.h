/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "policy/policy.h"

/*
 * Names of users and groups, remembered for NAMES_TTL_MS: dynamic users come
 * and go, so a name is looked up when a request comes, but asking NSS for each
 * name of each rule on each request would cost more than the signature.
 */

#define NAMES_TTL_MS 1000
#define NAMES_SLOTS 256
#define NAMES_LEN_MAX 64 /* longer ones are asked each time */

struct names_entry {
    char name[NAMES_LEN_MAX];
    bool group;
    bool exists;
    uint32_t id;
    uint64_t until_ms; /* 0: empty */
};

struct names {
    struct policy_names source; /* asked on a miss */
    uint64_t (*now_ms)(void);
    struct policy_names policy; /* for policy_eval() */
    struct names_entry slots[NAMES_SLOTS];
};

/* names_init() - @n must not move afterwards. */
void names_init(struct names *n, const struct policy_names *source,
                uint64_t (*now_ms)(void));

/* names_now_ms() - CLOCK_MONOTONIC. */
uint64_t names_now_ms(void);
