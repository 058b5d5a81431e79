/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/*
 * The forward-secure chain of the audit log. Each line is a JSON object that
 * ends in ,"mac":"<64 hex digits>"} ; the MAC is keyed BLAKE2b-256 over the
 * line's octets before that comma. After each line the key evolves,
 *
 *     k' = BLAKE2b-256(k || MAC)
 *
 * and the old key is erased: who holds today's key can neither change nor drop
 * an earlier line without making every later key underivable.
 */

#define CHAIN_KEY_LEN 32
#define CHAIN_MAC_LEN 32

struct chain {
    uint64_t line; /* number of the next line; the first is 1 */
    uint8_t key[CHAIN_KEY_LEN];
};

/* chain_seal() - appends ,"mac":"..."}\n to the open object in @line, advances.
 */
int chain_seal(struct chain *c, struct buf *line) MUST_CHECK;

/**
 * chain_check() - one line without its newline; advances when it fits
 *
 * Return: 0; CHAIN_E_FORM (no mac where it belongs); CHAIN_E_MAC.
 */
int chain_check(struct chain *c, struct bytes line) MUST_CHECK;
#define CHAIN_E_FORM 1
#define CHAIN_E_MAC 2
