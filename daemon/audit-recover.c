/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Opening: the saved key is brought forward over the lines that came after it.
 * What a crash can leave is put right here: half a line at the end, a rotation
 * between its two renames. Everything else that does not fit was not us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/audit-internal.h"

static int invalid(struct errmsg *reterr, const struct audit *a,
                   const char *state_dir)
{
    struct errmsg what = *reterr;

    errmsg_set_at(reterr, what.file, what.line,
                  "%s. Nothing is signed until this is resolved: keep a copy, "
                  "find out what happened, then move %s/" CHAIN_LOG_FILE
                  "* and %s/" CHAIN_STATE_FILE
                  " away together; a new log with a new first key then begins",
                  what.text, a->dir, state_dir);
    return AUDIT_E_INVALID;
}

static bool file_exists(const struct audit *a, const char *name)
{
    return faccessat(a->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Between the renames the next file has only its temporary name; before them
 * it does not count yet. */
static int finish_rotation(struct audit *a)
{
    if (!file_exists(a, AUDIT_NEW_FILE))
        return 0;
    if (file_exists(a, CHAIN_LOG_FILE))
        return unlinkat(a->dir_fd, AUDIT_NEW_FILE, 0) < 0 ? -errno : 0;
    return renameat(a->dir_fd, AUDIT_NEW_FILE, a->dir_fd, CHAIN_LOG_FILE) < 0
               ? -errno
               : 0;
}

static int has_lines(const struct audit *a, bool *ret)
{
    CLEANUP_CHAIN_FILES struct chain_files files = { 0 };
    struct stat st;
    int r;

    r = chain_files_list(a->dir_fd, &files);
    if (r)
        return r;
    *ret = files.n > 0 ||
           (fstatat(a->dir_fd, CHAIN_LOG_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_size > 0);
    return 0;
}

static int begin(struct audit *a, const char *state_dir, struct errmsg *reterr)
{
    bool lines = false;
    int r;

    r = has_lines(a, &lines);
    if (r)
        return r;
    if (lines)
        return invalid(reterr, a, state_dir);
    errmsg_set(reterr, "%s", "");
    return audit_key_begin(&a->key);
}

static int bring_forward(struct audit *a, uint64_t offset,
                         const char *state_dir, uint64_t *ret_torn,
                         struct errmsg *reterr)
{
    struct chain_walk w = { .head = a->key.head, .offset = offset };
    CLEANUP_WIPE(wipe, w);
    int r;

    audit_key_get(&a->key, &w.chain);
    r = chain_walk(a->dir_fd, &w);
    if (r == CHAIN_WALK_E_FAULT) {
        chain_walk_explain(&w, a->dir, reterr);
        return invalid(reterr, a, state_dir);
    }
    if (r)
        return r;
    audit_key_set(&a->key, &w.chain, &w.head);
    *ret_torn = w.torn;
    return 0;
}

static int open_file(struct audit *a, uint64_t reserve, uint64_t torn)
{
    int r;

    r = audit_file_open(&a->file, a->dir_fd, CHAIN_LOG_FILE, O_CREAT, reserve);
    if (r)
        return r;
    a->file.end -= torn;
    r = torn > 0 ? audit_file_cut(&a->file) : 0;
    if (r == 0)
        audit_file_reserve(&a->file);
    return r;
}

/* The first line of a file says what comes before it. */
static int write_first_line(struct audit *a, uint64_t torn)
{
    char previous[CHAIN_FILE_MAX], detail[96];
    struct audit_event event = { .type = AUDIT_CHAIN,
                                 .detail = "a new chain begins" };
    int r = 0;

    if (a->file.end == 0) {
        if (a->key.head.line > 0) {
            chain_file_name(a->key.head.line, previous);
            event = (struct audit_event){ .type = AUDIT_ROTATE,
                                          .file = previous,
                                          .file_mac = a->key.head.mac };
        }
        r = audit_append(a, &event, 0);
    }
    if (r || torn == 0)
        return r;
    (void)snprintf(detail, sizeof(detail),
                   "an unfinished line of %llu octets was removed",
                   (unsigned long long)torn);
    log_msg(LOG_WARNING, "%s: %s (a crash while it was written)", a->path,
            detail);
    event = (struct audit_event){ .type = AUDIT_PROCESS, .detail = detail };
    return audit_append(a, &event, 0);
}

int audit_recover(struct audit *a, const char *state_dir, uint64_t reserve,
                  struct errmsg *reterr)
{
    uint64_t offset = 0, torn = 0;
    bool first;
    int r;

    r = audit_key_open(&a->key, state_dir, &offset, reterr);
    if (r == AUDIT_KEY_E_DAMAGED)
        return invalid(reterr, a, state_dir);
    if (r < 0)
        return r;
    if (r == AUDIT_KEY_E_NONE)
        r = begin(a, state_dir, reterr);
    if (r == 0)
        r = finish_rotation(a);
    if (r == 0)
        r = bring_forward(a, offset, state_dir, &torn, reterr);
    if (r == 0)
        r = open_file(a, reserve, torn);
    if (r)
        return r;
    audit_sync_files(a->sync, a->file.fd, a->key.fd);
    first = a->file.end == 0;
    r = write_first_line(a, torn);
    if (r == 0 && first)
        r = audit_flush(a);
    /* Otherwise every start would wait for the disk; a round will do. */
    if (r == 0)
        audit_round_wanted(a);
    return r;
}
