/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/chain-walk.h"

/*
 * Checking an audit log without the daemon that wrote it (guardianctl audit
 * verify): the first key, kept elsewhere since setup, leads through all lines.
 *
 * A line's key follows from the key and the MAC of each line before it, so
 * there is no way in behind a file that AuditKeep= deleted but a key that was
 * saved before: that of the line with which a file begins. It is as secret as
 * the first. A cut tail shows only against a head: from the daemon, the
 * journal, or audit.chain.
 */

struct audit_verify_result {
    struct chain_head head; /* the last line that fits; line 0: none */
    bool tail_checked;      /* the expected head was met */
    uint64_t torn; /* octets of an unfinished line at the end: of a crash, or
                      being written right now */
    struct chain file_start; /* where the last file begins, to check from there
                                another time; the caller wipes it */
};

/**
 * audit_verify() - the files of a directory, in order
 * @from:     the first key and line 1, or later ones
 * @expected: NULL: the tail is not checked
 * @ret:      filled in also for a log that does not fit
 *
 * Return: 0; AUDIT_VERIFY_E_INVALID with file and line of the first line that
 * does not fit; AUDIT_VERIFY_E_EMPTY; negative errno; all with *reterr.
 */
int audit_verify(const char *log_dir, const struct chain *from,
                 const struct chain_head *expected,
                 struct audit_verify_result *ret,
                 struct errmsg *reterr) MUST_CHECK;
#define AUDIT_VERIFY_E_INVALID 1
#define AUDIT_VERIFY_E_EMPTY 2

/**
 * audit_key_read() - a key from a file: 64 hex digits and a newline for the
 * first, LINE: before them for a later one
 *
 * The caller wipes it. Return: 0; AUDIT_KEY_E_FORM; negative errno; with
 * *reterr.
 */
int audit_key_read(int fd, const char *file, struct chain *ret,
                   struct errmsg *reterr) MUST_CHECK;
#define AUDIT_KEY_E_FORM 1

/* audit_key_save() - to a new file, mode 0600, as audit_key_read() takes it.
 * Return: 0; negative errno. */
int audit_key_save(const char *path, const struct chain *key) MUST_CHECK;

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
