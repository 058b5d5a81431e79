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
 * too, and none that left is missing.
 */

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

static int take_line(struct report *p, struct bytes line)
{
    int64_t s = 0;
    bool fits = ctl_signatures_fits(&p->query, line, &s);

    if (p->first_line == 0) {
        p->first_line = chain_line_number(line);
        p->first_s = s;
    }
    p->n += fits;
    return fits ? print_line(p, line) : 0;
}

static int read_file(struct report *p, int dir_fd, uint64_t last)
{
    CLEANUP_CHAIN_READER struct chain_reader reader = { 0 };
    CLEANUP_FD int fd = -1;
    char name[CHAIN_FILE_MAX];
    struct bytes line;
    int r;

    chain_file_name(last, name);
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
    if (fd < 0)
        return ctl_fail_errno(-errno, name);
    r = chain_reader_init(&reader, fd, 0);
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

static int read_files(struct report *p, const char *dir)
{
    CLEANUP_CHAIN_FILES struct chain_files files = { 0 };
    CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    r = fd < 0 ? -errno : chain_files_list(fd, &files);
    if (r)
        return ctl_fail_errno(r, dir);
    for (size_t i = 0; r == 0 && i < files.n; i++)
        r = read_file(p, fd, files.last[i]);
    if (r == 0 && files.current)
        r = read_file(p, fd, 0);
    return r;
}

/* What AuditKeep= let go may have had more. */
static int conclude(const struct report *p, const char *dir)
{
    if (p->first_line == 0)
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: there is no audit log", dir);
    if (!p->context->json)
        (void)printf("%llu signatures\n", p->n);
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
