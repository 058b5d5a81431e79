/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The next file is made under another name, with its first line, and only then
 * do two renames put it in place: what fails before leaves the old file being
 * written, and audit_recover() finishes or undoes what a crash left between.
 * The old file is synced first, so that its end is never in doubt.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/audit-internal.h"
#include "daemon/audit-line.h"

static int seal_rotate_line(struct audit *a, const char *previous,
                            struct chain *c)
{
    const struct audit_event event = { .type = AUDIT_ROTATE,
                                       .file = previous,
                                       .file_mac = a->key.head.mac };
    struct timespec now;
    int r;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    r = audit_line_format(&a->line, c->line, &now, &event, 0);
    return r ? r : chain_seal(c, &a->line);
}

static int rename_both(struct audit *a, const char *previous)
{
    int r;

    /* A file of that name would be a log that was tampered with: keep it. */
    if (renameat2(a->dir_fd, CHAIN_LOG_FILE, a->dir_fd, previous,
                  RENAME_NOREPLACE) < 0)
        return -errno;
    if (renameat(a->dir_fd, AUDIT_NEW_FILE, a->dir_fd, CHAIN_LOG_FILE) == 0)
        return 0;
    r = -errno;
    (void)renameat(a->dir_fd, previous, a->dir_fd, CHAIN_LOG_FILE);
    return r;
}

static int make_next(struct audit *a, const char *previous,
                     struct audit_file *next, struct chain *c)
{
    int r;

    r = seal_rotate_line(a, previous, c);
    if (r == 0 && unlinkat(a->dir_fd, AUDIT_NEW_FILE, 0) < 0 && errno != ENOENT)
        r = -errno;
    if (r == 0)
        r = audit_file_open(next, a->dir_fd, AUDIT_NEW_FILE, O_CREAT | O_EXCL,
                            a->file.reserve);
    if (r)
        return r;
    audit_file_reserve(next);
    r = audit_file_append(next, buf_bytes(&a->line));
    if (r == 0)
        r = rename_both(a, previous);
    if (r)
        (void)unlinkat(a->dir_fd, AUDIT_NEW_FILE, 0);
    return r;
}

/* Only what has been synced may go: the saved key must stay of use. */
static void delete_oldest(struct audit *a)
{
    CLEANUP_CHAIN_FILES struct chain_files files = { 0 };

    if (chain_files_list(a->dir_fd, &files))
        return;
    for (size_t i = 0; files.n - i > a->keep; i++) {
        char name[CHAIN_FILE_MAX];
        const struct audit_event event = { .type = AUDIT_DELETED,
                                           .file = name };

        chain_file_name(files.last[i], name);
        if (files.last[i] + 1 >= a->key.saved || audit_append(a, &event, 0) ||
            unlinkat(a->dir_fd, name, 0) < 0)
            return;
    }
}

int audit_rotate_file(struct audit *a)
{
    CLEANUP(audit_file_deinit) struct audit_file next = { .fd = -1 };
    char previous[CHAIN_FILE_MAX];
    struct chain_head head;
    struct chain c;
    CLEANUP_WIPE(wipe, c);
    int r;

    r = audit_flush(a);
    if (r == 0)
        r = audit_file_cut(&a->file);
    if (r)
        return r;
    chain_file_name(a->key.head.line, previous);
    audit_key_get(&a->key, &c);
    head.line = c.line;
    r = make_next(a, previous, &next, &c);
    if (r == 0)
        r = chain_line_mac((struct bytes){ a->line.data, a->line.len - 1 },
                           head.mac);
    if (r)
        return r;

    audit_file_deinit(&a->file);
    a->file = next;
    next = (struct audit_file){ .fd = -1 };
    a->synced_end = 0;
    audit_key_set(&a->key, &c, &head);
    audit_sync_files(a->sync, a->file.fd, a->key.fd);
    (void)fsync(a->dir_fd);
    audit_tell(a);
    audit_round_wanted(a);
    delete_oldest(a);
    return 0;
}

void audit_rotate_if_full(struct audit *a)
{
    int r;

    if (a->file.end < a->max_size || audit_now_ms() < a->rotate_after_ms)
        return;
    r = audit_rotate_file(a);
    if (r == 0)
        return;
    /* Rather a long file than none. */
    a->rotate_after_ms = audit_now_ms() + AUDIT_ROTATE_RETRY_MS;
    log_msg(LOG_WARNING, "%s cannot be rotated and grows on: %s", a->path,
            strerror(-r));
}

int audit_rotate(struct audit *a, char **ret_file)
{
    char name[CHAIN_FILE_MAX];
    CLEANUP_BUF struct buf path = { 0 };
    int r;

    chain_file_name(a->key.head.line, name);
    r = buf_printf(&path, "%s/%s", a->dir, name);
    if (r == 0)
        r = audit_rotate_file(a);
    if (r)
        return r;
    *ret_file = buf_take_str(&path);
    return 0;
}
