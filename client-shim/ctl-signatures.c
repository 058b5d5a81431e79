/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-signatures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "acme/rfc3339.h"
#include "base/chain-files.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-tail.h"

/*
 * guardianctl audit signatures: whatever was signed, from the log's files. A
 * line is written before its signature leaves: one that then failed is here,
 * too, and none that left is missing. Lines that are numbered without a gap are
 * all there; that nobody changed one, audit verify says.
 */

#define NOT_READ INT64_MIN

static bool is_text(const json_t *object, const char *member, const char *want)
{
    const char *text = ctl_string(object, member);

    return text && strcmp(text, want) == 0;
}

bool ctl_signatures_fits(const struct signatures_query *q, struct bytes line,
                         int64_t *ret_s)
{
    CLEANUP_CTL_JSON json_t *object =
        json_loadb((const char *)line.data, line.len, 0, NULL);
    const char *time = ctl_string(object, "time");
    int64_t s = 0;

    if (!time || rfc3339_read(bytes_from_str(time), false, &s, NULL))
        return false;
    *ret_s = s;
    if (s < q->since_s || !ctl_string(object, "input_sha256") ||
        !is_text(object, "verdict", "allowed"))
        return false;
    return (!q->thumbprint || is_text(object, "thumbprint", q->thumbprint)) &&
           (!q->account || is_text(object, "account", q->account));
}

struct report {
    const struct ctl_context *context;
    struct signatures_query query;
    unsigned long long n;
    uint64_t first_line; /* of the log that is there; 0: none */
    int64_t first_s;
    uint64_t last_line;
    uint64_t bad_line; /* the first that is missing or no line; 0: none */
};

static int print_line(const struct report *p, struct bytes line)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r;

    r = p->context->json ? buf_append(&text, line.data, line.len)
                         : ctl_tail_format(line, &text);
    if (r == 0 && puts(buf_str(&text)) < 0)
        r = -EPIPE;
    return r;
}

/* The file that was being written may be listed once more, as a closed one. */
static int take_line(struct report *p, struct bytes line)
{
    uint64_t number = chain_line_number(line);
    int64_t s = NOT_READ;
    bool fits;

    if (number != 0 && number <= p->last_line)
        return 0;
    fits = ctl_signatures_fits(&p->query, line, &s);
    if (p->first_line == 0) {
        p->first_line = number;
        p->first_s = s;
    } else if (p->bad_line == 0 && number != p->last_line + 1) {
        p->bad_line = p->last_line + 1;
    }
    if (p->bad_line == 0 && s == NOT_READ)
        p->bad_line = number;
    p->last_line = number ? number : p->last_line + 1;
    p->n += fits;
    return fits ? print_line(p, line) : 0;
}

static int open_file(int dir_fd, uint64_t last,
                     char name[static CHAIN_FILE_MAX])
{
    int fd;

    chain_file_name(last, name);
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

static int read_file(struct report *p, int fd, const char *name)
{
    CLEANUP_CHAIN_READER struct chain_reader reader = { 0 };
    struct bytes line;
    int r = chain_reader_init(&reader, fd, 0);

    while (r == 0) {
        r = chain_reader_next(&reader, &line);
        if (r == 0)
            r = take_line(p, line);
    }
    if (r == CHAIN_READ_LONG)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: has a line that is too long",
                        name);
    return r < 0 ? ctl_fail_errno(r, name) : CTL_EXIT_DONE;
}

static int read_closed(struct report *p, int dir_fd, uint64_t last)
{
    char name[CHAIN_FILE_MAX];
    CLEANUP_FD int fd = open_file(dir_fd, last, name);

    return fd < 0 ? ctl_fail_errno(fd, name) : read_file(p, fd, name);
}

/* The current file is opened before the others are listed: should it be closed
 * meanwhile, its lines are read nevertheless. */
static int read_files(struct report *p, const char *dir)
{
    CLEANUP_CHAIN_FILES struct chain_files files = { 0 };
    CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_FD int current = -1;
    char name[CHAIN_FILE_MAX];
    int r;

    if (fd < 0)
        return ctl_fail_errno(-errno, dir);
    current = open_file(fd, 0, name);
    if (current < 0 && current != -ENOENT)
        return ctl_fail_errno(current, name);
    r = chain_files_list(fd, &files);
    if (r)
        return ctl_fail_errno(r, dir);
    for (size_t i = 0; r == 0 && i < files.n; i++)
        r = read_closed(p, fd, files.last[i]);
    return r || current < 0 ? r : read_file(p, current, name);
}

/* What AuditKeep= let go may have had more. */
static int conclude(const struct report *p, const char *dir)
{
    if (p->first_line == 0)
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: there is no audit log", dir);
    if (!p->context->json)
        (void)printf("%llu signatures\n", p->n);
    if (p->bad_line)
        return ctl_fail(CTL_EXIT_UNKNOWN,
                        "%s: line %llu is missing or cannot be read: what was "
                        "signed there is not known (audit verify)",
                        dir, (unsigned long long)p->bad_line);
    if (p->first_line == 1 || p->first_s < p->query.since_s)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_UNKNOWN,
                    "%s: begins with line %llu: what was signed before it is "
                    "not known",
                    dir, (unsigned long long)p->first_line);
}

/* A day is its beginning, in UTC. */
static int read_since(const struct ctl_context *c, int64_t *ret)
{
    const char *text = ctl_args_value(c, "--since");
    CLEANUP_BUF struct buf full = { 0 };

    if (!text)
        return CTL_EXIT_DONE;
    if (buf_printf(&full, "%.40s%s", text,
                   strlen(text) == 10 ? "T00:00:00Z" : ""))
        return ctl_fail_errno(-ENOMEM, text);
    if (rfc3339_read(buf_bytes(&full), false, ret, NULL) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_USAGE,
                    "--since is a time as in 2026-11-27T18:00:00Z, or a day, "
                    "not %.40s",
                    text);
}

int ctl_signatures_run(struct ctl_context *c)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    const char *dir = ctl_args_value(c, "--dir");
    struct report p = { .context = c,
                        .query = { .thumbprint = ctl_args_value(c, "--key"),
                                   .account =
                                       ctl_args_value(c, "--account") } };
    int r = read_since(c, &p.query.since_s);

    if (r)
        return r;
    if (!p.query.thumbprint && !p.query.account)
        return ctl_fail(CTL_EXIT_USAGE, "--key or --account says whose");
    if (!dir)
        r = ctl_settings(c, &settings);
    if (r)
        return r;
    if (!dir)
        dir = settings->log_dir;
    r = read_files(&p, dir);
    return r ? r : conclude(&p, dir);
}

const struct ctl_option ctl_signatures_options[] = {
    { "--key", "THUMBPRINT", "by this key (account show, rotate status)", 0,
      false, false },
    { "--account", "NAME", "for this account, by any key", 0, false, false },
    { "--since", "TIME", "not before: 2026-11-27T18:00:00Z, or a day", 0, false,
      false },
    { "--dir", "DIR", "the log's directory (LogDirectory=)", 0, false, false },
    { 0 },
};
