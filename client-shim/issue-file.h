/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/errmsg.h"

/*
 * Files that are replaced whole or not at all: the new one is written beside
 * the old one as .NAME.guardianctl-new, synced, and renamed. It is opened
 * before the CA is asked for anything, so that a directory that cannot be
 * written to costs no certificate, and it is locked, so that two runs do not
 * meet.
 */

struct issue_file {
    char *path;       /* links resolved */
    const char *name; /* the last part of it */
    char *temporary;  /* its name, in the same directory */
    int dir_fd;
    int fd;         /* of the temporary, when prepared */
    bool exclusive; /* never over a file that is there */
};
#define CLEANUP_ISSUE_FILE CLEANUP(issue_file_deinit)
/* issue_file_deinit() - a temporary that was not committed is removed. */
void issue_file_deinit(struct issue_file *f);

/**
 * issue_file_find() - resolve links, and open the directory
 * @path: of a plain file, or of none yet
 *
 * Return: 0; negative errno with *reterr.
 */
int issue_file_find(const char *path, struct issue_file *ret,
                    struct errmsg *reterr) MUST_CHECK;

/* issue_file_open() - what is in place, for reading. Return: 0; -ENOENT;
 * negative errno with *reterr. */
int issue_file_open(const struct issue_file *f, int *ret_fd,
                    struct errmsg *reterr) MUST_CHECK;

/**
 * issue_file_prepare() - open the temporary, with owner and mode of the file
 * that it is to replace, else with @mode
 *
 * Return: 0; ISSUE_FILE_E_BUSY with *reterr: another run has it; negative
 * errno with *reterr.
 */
int issue_file_prepare(struct issue_file *f, mode_t mode,
                       struct errmsg *reterr) MUST_CHECK;

/* issue_file_resume() - open the temporary of a run that was killed, as it is.
 * Return: 0; -ENOENT; else as issue_file_prepare(). */
int issue_file_resume(struct issue_file *f, struct errmsg *reterr) MUST_CHECK;
#define ISSUE_FILE_E_BUSY 1

/* issue_file_write() - the content of the temporary, synced. */
int issue_file_write(const struct issue_file *f, struct bytes content,
                     struct errmsg *reterr) MUST_CHECK;

/* issue_file_commit() - into its place, and the directory synced. Return: 0;
 * -EEXIST: exclusive, and there is one now; negative errno; with *reterr. */
int issue_file_commit(struct issue_file *f, struct errmsg *reterr) MUST_CHECK;

/* A mark beside the file, that outlives a killed run: something is left to do.
 * Return: 0; negative errno with *reterr. */
int issue_file_mark(const struct issue_file *f,
                    struct errmsg *reterr) MUST_CHECK;
bool issue_file_marked(const struct issue_file *f);
int issue_file_unmark(const struct issue_file *f,
                      struct errmsg *reterr) MUST_CHECK;
