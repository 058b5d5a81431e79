/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/chain-state.h"
#include "base/chain-walk.h"
#include "base/secret.h"

/*
 * The key of the audit chain: in memory that of the next line, on disk that of
 * the last line known to be synced. Only a synced line's key is saved, so the
 * file is never ahead of the log; and it is saved twice, so that soon no slot
 * holds a key of a line before.
 */

#define AUDIT_FIRST_KEY_FILE "audit.first"

struct audit_key {
    int dir_fd;             /* STATEDIR */
    int fd;                 /* STATEDIR/audit.chain; -1: there is none yet */
    struct secret *now;     /* struct chain */
    struct secret *pending; /* struct chain_state, to be saved when synced */
    struct chain_head head; /* of the newest line */
    uint64_t sequence;      /* last one saved */
    uint64_t saved;         /* chain.line in the newer slot */
    bool twice;             /* the other slot has the same */
};

/**
 * audit_key_open() - read the state, if there is one
 * @ret_offset: where the last synced line ends in its file
 *
 * Return: 0; AUDIT_KEY_E_NONE: no chain was begun; AUDIT_KEY_E_DAMAGED;
 * negative errno; with *reterr.
 */
int audit_key_open(struct audit_key *k, const char *state_dir,
                   uint64_t *ret_offset, struct errmsg *reterr) MUST_CHECK;
#define AUDIT_KEY_E_NONE 1
#define AUDIT_KEY_E_DAMAGED 2
void audit_key_deinit(struct audit_key *k);

/* audit_key_wipe() - what a forked child does with its copy. */
void audit_key_wipe(struct audit_key *k);

/* audit_key_begin() - a new chain, its first key kept in audit.first. */
int audit_key_begin(struct audit_key *k) MUST_CHECK;

void audit_key_get(const struct audit_key *k, struct chain *ret);
void audit_key_set(struct audit_key *k, const struct chain *c,
                   const struct chain_head *head);

/* audit_key_prepare() - what is now, for audit_key_save() once that is synced;
 * @offset: the log's end. */
void audit_key_prepare(struct audit_key *k, uint64_t offset);
uint64_t audit_key_prepared(const struct audit_key *k); /* its next line */

/* audit_key_save() - to the older slot. The newer one must have been synced. */
int audit_key_save(struct audit_key *k) MUST_CHECK;

int audit_key_take_first(struct audit_key *k,
                         uint8_t ret[static CHAIN_KEY_LEN]) MUST_CHECK;
bool audit_key_first_waiting(const struct audit_key *k);
