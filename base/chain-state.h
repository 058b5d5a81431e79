/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/chain.h"

/*
 * Where a chain stands, in a file of two slots that are written alternately:
 * a crash while one is written leaves the other. Both hold keys.
 */

#define CHAIN_STATE_FILE "audit.chain"
#define CHAIN_STATE_SLOT 128

struct chain_state {
    struct chain chain;         /* what the next line will be sealed with */
    uint8_t mac[CHAIN_MAC_LEN]; /* of the line before; zero if there is none */
    uint64_t offset;            /* in its file, where that line ends */
    uint64_t sequence;          /* of writing; the higher one is newer */
};

/**
 * chain_state_read() - the newest slot that is whole
 *
 * Return: 0; CHAIN_STATE_E_DAMAGED if neither is; negative errno.
 */
int chain_state_read(int fd, struct chain_state *ret) MUST_CHECK;
#define CHAIN_STATE_E_DAMAGED 1

/* chain_state_write() - to the slot that @s->sequence names. */
int chain_state_write(int fd, const struct chain_state *s) MUST_CHECK;
