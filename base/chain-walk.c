/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The directory is listed anew for each file: the daemon may rotate meanwhile,
 * and then the file we came to as the current one has successors.
 */
#include "base/chain-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NO_FILE UINT64_MAX

static int fault(struct chain_walk *w, enum chain_fault f, uint64_t found)
{
    w->fault = f;
    w->line = w->chain.line;
    w->found = found;
    return CHAIN_WALK_E_FAULT;
}

/* The number of the line in its file that starts at @offset. */
static uint64_t lines_before(int fd, uint64_t offset)
{
    uint64_t lines = 1;
    uint8_t block[16384];
    uint64_t at = 0;

    while (at < offset) {
        size_t want =
            offset - at < sizeof(block) ? (size_t)(offset - at) : sizeof(block);
        ssize_t n = pread(fd, block, want, (off_t)at);

        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            lines += block[i] == '\n';
        at += (uint64_t)n;
    }
    return lines;
}

/* The file that holds @line, as chain_file_name() takes it; or NO_FILE. */
static uint64_t file_of(const struct chain_files *files, uint64_t line)
{
    for (size_t i = 0; i < files->n; i++) {
        if (files->last[i] >= line)
            return files->last[i];
    }
    return files->current ? 0 : NO_FILE;
}

static int check_number(struct chain_walk *w, struct bytes line, bool first)
{
    uint64_t n = chain_line_number(line);

    if (n == w->chain.line)
        return 0;
    if (n == 0)
        return fault(w, CHAIN_FAULT_FORM, 0);
    if (first && n > w->chain.line)
        return fault(
            w, w->chain.line == 1 ? CHAIN_FAULT_START : CHAIN_FAULT_FILE, n);
    return fault(w, CHAIN_FAULT_NUMBER, n);
}

static int check_line(struct chain_walk *w, struct bytes line, bool first)
{
    int r;

    r = check_number(w, line, first);
    if (r)
        return r;
    r = chain_check(&w->chain, line);
    if (r)
        return fault(w,
                     r == CHAIN_E_FORM ? CHAIN_FAULT_FORM : CHAIN_FAULT_CHANGED,
                     w->chain.line);

    w->head.line = w->chain.line - 1;
    if (chain_line_mac(line, w->head.mac))
        return -EINVAL; /* it has just been checked */
    if (w->head.line == w->expected.line &&
        memcmp(w->head.mac, w->expected.mac, CHAIN_MAC_LEN) != 0) {
        r = fault(w, CHAIN_FAULT_HEAD, w->head.line);
        w->line = w->head.line;
        return r;
    }
    return 0;
}

/* The line that ends at w->offset must be the one that was synced. */
static int check_resumed(struct chain_walk *w, int fd)
{
    uint64_t start =
        w->offset > CHAIN_LINE_MAX ? w->offset - CHAIN_LINE_MAX : 0;
    size_t len = (size_t)(w->offset - start);
    CLEANUP_FREE uint8_t *tail = malloc(len);
    uint8_t mac[CHAIN_MAC_LEN];
    const uint8_t *newline;
    struct bytes line;
    int r;

    if (!tail)
        return -ENOMEM;
    if (pread(fd, tail, len, (off_t)start) != (ssize_t)len ||
        tail[len - 1] != '\n') {
        r = fault(w, CHAIN_FAULT_TAIL, 0);
        w->line = w->head.line;
        return r;
    }
    newline = memrchr(tail, '\n', len - 1);
    line.data = newline ? newline + 1 : tail;
    line.len = (size_t)(tail + len - 1 - line.data);
    if (chain_line_number(line) == w->head.line &&
        chain_line_mac(line, mac) == 0 &&
        memcmp(mac, w->head.mac, sizeof(mac)) == 0)
        return 0;

    r = fault(w, CHAIN_FAULT_CHANGED, chain_line_number(line));
    w->line = w->head.line;
    w->offset -= line.len + 1;
    return r;
}

static int walk_lines(struct chain_walk *w, int fd, bool closed)
{
    CLEANUP_CHAIN_READER struct chain_reader reader = { .fd = -1 };
    struct bytes line;
    int r;

    r = chain_reader_init(&reader, fd, w->offset);
    for (bool first = w->offset == 0; r == 0; first = false) {
        w->offset = reader.offset;
        r = chain_reader_next(&reader, &line);
        if (r == 0)
            r = check_line(w, line, first);
        else if (r == CHAIN_READ_LONG || (r == CHAIN_READ_TORN && closed))
            r = fault(w, CHAIN_FAULT_FORM, 0);
        else if (r == CHAIN_READ_TORN || r == CHAIN_READ_END) {
            w->torn = r == CHAIN_READ_TORN ? line.len : 0;
            return 0;
        }
    }
    return r;
}

static int walk_file(struct chain_walk *w, int dir_fd, uint64_t file)
{
    CLEANUP_FD int fd = -1;
    int r = 0;

    chain_file_name(file, w->file);
    w->torn = 0;
    fd = openat(dir_fd, w->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (w->offset > 0)
        r = check_resumed(w, fd);
    else
        w->file_start = w->chain;
    if (r == 0)
        r = walk_lines(w, fd, file != 0);
    if (r == 0 && file != 0 && w->head.line != file)
        r = fault(w, CHAIN_FAULT_END, file);
    if (r == CHAIN_WALK_E_FAULT)
        w->file_line = lines_before(fd, w->offset);
    return r;
}

static int walk_files(struct chain_walk *w, int dir_fd)
{
    uint64_t want = w->offset > 0 ? w->head.line : w->chain.line;
    bool any = false;

    for (;;) {
        CLEANUP_CHAIN_FILES struct chain_files files = { 0 };
        uint64_t file;
        int r;

        r = chain_files_list(dir_fd, &files);
        if (r)
            return r;
        file = file_of(&files, want);
        /* Nothing to go on with; at the start that is a log deleted. */
        if (file == NO_FILE && (any || w->chain.line == 1))
            return 0;
        if (file == NO_FILE) {
            r = fault(w, CHAIN_FAULT_START, 0);
            w->line = want;
            return r;
        }
        r = walk_file(w, dir_fd, file);
        if (r == -ENOENT)
            continue; /* renamed after we listed: list again */
        if (r || file == 0)
            return r;
        any = true;
        want = w->chain.line;
        w->offset = 0;
    }
}

int chain_walk(int dir_fd, struct chain_walk *w)
{
    int r;

    r = walk_files(w, dir_fd);
    if (r == 0 && w->expected.line > w->head.line) {
        r = fault(w, CHAIN_FAULT_TAIL, 0);
        w->line = w->expected.line;
    }
    return r;
}

static void explain_number(const struct chain_walk *w, char *text, size_t len)
{
    unsigned long long line = w->line, found = w->found;

    if (w->fault == CHAIN_FAULT_START && found == 0)
        (void)snprintf(text, len, "the file that held line %llu is missing",
                       line);
    else if (w->fault == CHAIN_FAULT_START)
        (void)snprintf(text, len,
                       "the log begins with line %llu: lines 1 to %llu are "
                       "missing. The key of a line follows from those of all "
                       "lines before it: put the deleted files back, or begin "
                       "with a later key, from audit verify --save-key",
                       found, found - 1);
    else if (w->fault == CHAIN_FAULT_FILE)
        (void)snprintf(text, len,
                       "lines %llu to %llu are missing: the file that ended "
                       "with line %llu is not there",
                       line, found - 1, found - 1);
    else
        (void)snprintf(text, len,
                       "line %llu stands where line %llu belongs: lines were "
                       "deleted, inserted or moved",
                       found, line);
}

static void explain(const struct chain_walk *w, char *text, size_t len)
{
    unsigned long long line = w->line;

    switch (w->fault) {
    case CHAIN_FAULT_CHANGED:
        (void)snprintf(text, len,
                       "line %llu does not fit its key: it or a line before "
                       "it was changed",
                       line);
        break;
    case CHAIN_FAULT_FORM:
        (void)snprintf(text, len,
                       "this is no line of an audit log; line %llu "
                       "belongs here",
                       line);
        break;
    case CHAIN_FAULT_END:
        (void)snprintf(text, len,
                       "the file ends before its last line, %llu: it was cut",
                       (unsigned long long)w->found);
        break;
    case CHAIN_FAULT_TAIL:
        (void)snprintf(text, len,
                       "the log ends before line %llu, which was written: its "
                       "tail was cut",
                       line);
        break;
    case CHAIN_FAULT_HEAD:
        (void)snprintf(text, len,
                       "line %llu is not the one that is known to have been "
                       "written",
                       line);
        break;
    case CHAIN_FAULT_START:
    case CHAIN_FAULT_FILE:
    case CHAIN_FAULT_NUMBER:
    case CHAIN_FAULT_NONE:
    default:
        explain_number(w, text, len);
        break;
    }
}

void chain_walk_explain(const struct chain_walk *w, const char *dir,
                        struct errmsg *reterr)
{
    char path[sizeof(reterr->file)];
    char text[320];

    explain(w, text, sizeof(text));
    (void)snprintf(path, sizeof(path), "%s%s%s", dir, w->file[0] ? "/" : "",
                   w->file);
    errmsg_set_at(reterr, path, (unsigned)w->file_line, "%s", text);
}
