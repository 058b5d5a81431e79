/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/errmsg.h"

/*
 * A backup: a tar archive (ustar), so that tar(1) shows it, of
 *
 *     acme-guardian-backup        what it is, as JSON
 *     registry.db                 the registry
 *     sealed/TOKEN/FILE           of sealed tokens: keys, each wrapped
 *     SHA256SUMS                  of all before it, as sha256sum(1) has them
 *
 * What is read is checked whole before anything of it is used: its form, the
 * names, the sums, and that nothing is missing at the end. Pure.
 */

#define BACKUP_ABOUT "acme-guardian-backup"
#define BACKUP_REGISTRY "registry.db"
#define BACKUP_SUMS "SHA256SUMS"
#define BACKUP_SEALED "sealed/"
#define BACKUP_NAME_MAX 256
#define BACKUP_ENTRIES_MAX 10000

struct backup_entry {
    char name[BACKUP_NAME_MAX];
    struct bytes data; /* within the archive */
};

struct backup {
    struct backup_entry *items;
    size_t n;
};
void backup_deinit(struct backup *b);

/**
 * backup_add() - one file, appended to an archive
 * @sums: what becomes the last file
 *
 * Return: 0; BACKUP_E_NAME: a name that no backup has, or that is too long;
 * -ENOMEM.
 */
int backup_add(struct buf *archive, struct buf *sums, const char *name,
               struct bytes data, int64_t now_s) MUST_CHECK;
#define BACKUP_E_NAME 1
/* backup_end() - the sums and the end. */
int backup_end(struct buf *archive, const struct buf *sums,
               int64_t now_s) MUST_CHECK;

/* backup_read() - Return: 0; BACKUP_E_INVALID with *reterr; -ENOMEM. */
int backup_read(struct bytes archive, struct backup *ret,
                struct errmsg *reterr) MUST_CHECK;
#define BACKUP_E_INVALID 2

/* backup_find() - NULL: it has no such file. */
const struct backup_entry *backup_find(const struct backup *b,
                                       const char *name);

/* backup_sealed_name() - of sealed/TOKEN/FILE. False: another name. */
bool backup_sealed_name(const char *name, char ret_token[static 64],
                        const char **ret_file);
