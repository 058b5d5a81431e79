/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/chain-walk.h"

/*
 * Checking an audit log without the daemon that wrote it (guardianctl audit
 * verify): the first key, kept elsewhere since setup, leads through all lines.
 *
 * The key of line 1 is the only way in: files that AuditKeep= deleted must be
 * put back (or AuditKeep= be large enough) for the rest to be checked. A cut
 * tail shows only against a head: from the daemon, the journal, or audit.chain.
 */

struct audit_verify_result {
    struct chain_head head; /* the last line that fits; line 0: none */
    bool tail_checked;      /* the expected head was met */
    uint64_t torn; /* octets of an unfinished line at the end: of a crash, or
                      being written right now */
};

/**
 * audit_verify() - all files of a directory, in order
 * @key:      the first key
 * @expected: NULL: the tail is not checked
 * @ret:      filled in also for a log that does not fit
 *
 * Return: 0; AUDIT_VERIFY_E_INVALID with file and line of the first line that
 * does not fit; AUDIT_VERIFY_E_EMPTY; negative errno; all with *reterr.
 */
int audit_verify(const char *log_dir, const uint8_t key[static CHAIN_KEY_LEN],
                 const struct chain_head *expected,
                 struct audit_verify_result *ret,
                 struct errmsg *reterr) MUST_CHECK;
#define AUDIT_VERIFY_E_INVALID 1
#define AUDIT_VERIFY_E_EMPTY 2

/**
 * audit_key_read() - the first key from a file: 64 hex digits and a newline
 *
 * The caller wipes it. Return: 0; AUDIT_KEY_E_FORM; negative errno; with
 * *reterr.
 */
int audit_key_read(int fd, const char *file, uint8_t ret[static CHAIN_KEY_LEN],
                   struct errmsg *reterr) MUST_CHECK;
#define AUDIT_KEY_E_FORM 1

/**
 * audit_head_from_state() - what a state directory says was written
 *
 * Read it before audit_verify(): a running daemon goes on writing.
 *
 * Return: 0; -ENOENT; -EBADMSG if it is damaged; negative errno; with *reterr.
 */
int audit_head_from_state(const char *state_dir, struct chain_head *ret,
                          struct errmsg *reterr) MUST_CHECK;

/* audit_head_parse() - "LINE:MAC" with 64 hex digits. Return: 0, -EINVAL. */
int audit_head_parse(const char *text, struct chain_head *ret) MUST_CHECK;
