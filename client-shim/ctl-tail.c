/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/chain-files.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"

/* guardianctl audit tail: the end of the file, then what the daemon says. */

#define LINES_DEFAULT 10
#define LINES_MAX 10000

/* Numbers, hashes and what stands at the front already. */
static bool is_shown(const char *name)
{
    static const char *const hidden[] = {
        "n",       "mac",        "file_mac",     "time",          "type",
        "rule_id", "thumbprint", "input_sha256", "payload_sha256"
    };

    for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
        if (strcmp(name, hidden[i]) == 0)
            return false;
    }
    return true;
}

static int format_value(const json_t *value, struct buf *b)
{
    int r = 0;

    if (json_is_string(value))
        return buf_append_str(b, json_string_value(value));
    if (json_is_integer(value))
        return buf_printf(b, "%lld", (long long)json_integer_value(value));
    if (json_is_boolean(value))
        return buf_append_str(b, json_is_true(value) ? "yes" : "no");
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (r == 0 && i)
            r = buf_append_char(b, ',');
        if (r == 0)
            r = format_value(json_array_get(value, i), b);
    }
    return r;
}

static int format_object(json_t *object, struct buf *b)
{
    const char *time = ctl_string(object, "time");
    const char *type = ctl_string(object, "type");
    const char *name;
    json_t *value;
    int r;

    r = buf_printf(b, "%s  %-9s", time ? time : "-", type ? type : "-");
    json_object_foreach(object, name, value)
    {
        if (!is_shown(name))
            continue;
        if (r == 0)
            r = buf_printf(b, " %s=", name);
        if (r == 0)
            r = format_value(value, b);
    }
    return r;
}

int ctl_tail_format(struct bytes line, struct buf *b)
{
    CLEANUP_CTL_JSON json_t *object = NULL;
    size_t start = b->len;
    int r;

    object = json_loadb((const char *)line.data, line.len, 0, NULL);
    r = json_is_object(object) ? format_object(object, b)
                               : buf_append(b, line.data, line.len);
    for (size_t i = start; r == 0 && i < b->len; i++) {
        if (b->data[i] < 0x20 || b->data[i] == 0x7f)
            b->data[i] = '?';
    }
    return r;
}

struct tail {
    const struct ctl_context *context;
    struct chain_reader reader; /* behind the last line that was printed */
    bool reading;               /* there is a file, and it is read on */
};

static int print_line(const struct tail *t, struct bytes line)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r;

    if (t->context->json)
        r = buf_append(&text, line.data, line.len);
    else
        r = ctl_tail_format(line, &text);
    if (r)
        return r;
    (void)puts(buf_str(&text));
    return fflush(stdout) ? -EPIPE : 0;
}

/* Where the last @n lines begin: a ring of starts, filled in one reading. */
static int find_last(int fd, size_t n, uint64_t *ret)
{
    CLEANUP_FREE uint64_t *starts = calloc(n, sizeof(*starts));
    CLEANUP_CHAIN_READER struct chain_reader reader = { 0 };
    struct bytes line;
    size_t count = 0;
    int r;

    r = starts ? chain_reader_init(&reader, fd, 0) : -ENOMEM;
    while (r == 0) {
        uint64_t start = reader.offset;

        r = chain_reader_next(&reader, &line);
        if (r == 0)
            starts[count++ % n] = start;
    }
    if (r < 0)
        return r;
    *ret = count < n ? starts[0] : starts[count % n];
    return 0;
}

static int print_last(struct tail *t, int fd, size_t n)
{
    struct bytes line;
    uint64_t start = 0;
    int r;

    r = find_last(fd, n, &start);
    if (r == 0)
        r = chain_reader_init(&t->reader, fd, start);
    while (r == 0) {
        r = chain_reader_next(&t->reader, &line);
        if (r == 0)
            r = print_line(t, line);
    }
    return r < 0 ? r : 0;
}

/* Lines that were written between reading the file and the first that the
 * daemon told: they are in the file. */
static int print_gap(struct tail *t, uint64_t until)
{
    struct bytes line;
    int r = 0;

    while (r == 0) {
        r = chain_reader_next(&t->reader, &line);
        if (r || chain_line_number(line) >= until)
            break;
        r = print_line(t, line);
    }
    t->reading = false;
    return r < 0 ? r : 0;
}

static int on_line(const json_t *parameters, void *userdata)
{
    struct tail *t = userdata;
    const json_t *text = json_object_get(parameters, "line");
    struct bytes line = { (const uint8_t *)json_string_value(text),
                          json_string_length(text) };
    int r = 0;

    if (!line.data)
        return 0;
    if (t->reading)
        r = print_gap(t, chain_line_number(line));
    return r ? r : print_line(t, line);
}

static int follow(struct ctl_context *c, struct tail *t)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    return r ? r : ctl_daemon_watch(&d, "Watch", on_line, t);
}

static int open_log(struct ctl_context *c, int *ret_fd)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    CLEANUP_BUF struct buf path = { 0 };
    int r;

    r = ctl_settings(c, &settings);
    if (r)
        return r;
    r = buf_printf(&path, "%s/" CHAIN_LOG_FILE, settings->log_dir);
    if (r)
        return ctl_fail_errno(r, "audit log");
    *ret_fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*ret_fd >= 0 || (errno == EACCES && ctl_args_has(c, "--follow")))
        return CTL_EXIT_DONE;
    if (errno == ENOENT)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: there is no audit log yet: has acme-guardiand "
                        "run with these settings?",
                        buf_str(&path));
    return ctl_fail_errno(-errno, buf_str(&path));
}

int ctl_tail_run(struct ctl_context *c)
{
    struct tail t = { .context = c };
    uint64_t lines = LINES_DEFAULT;
    struct errmsg err = { 0 };
    CLEANUP_FD int fd = -1;
    int r;

    r = ctl_args_uint(c, "--lines", 1, LINES_MAX, &lines, &err);
    if (r)
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    r = open_log(c, &fd);
    if (r)
        return r;
    if (fd >= 0) {
        r = print_last(&t, fd, (size_t)lines);
        t.reading = r == 0;
    }
    if (r)
        r = ctl_fail_errno(r, "audit log");
    else if (ctl_args_has(c, "--follow"))
        r = follow(c, &t);
    chain_reader_deinit(&t.reader);
    return r;
}

const struct ctl_option ctl_tail_options[] = {
    { "--follow", NULL, "go on with lines as they are written", 'f', false,
      false },
    { "--lines", "N", "how many (10)", 'n', false, false },
    { 0 },
};
