/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/metrics-text.h"

/*
 * metrics: what a monitoring system scrapes, on stdout or in a file for the
 * node exporter. That the daemon does not answer is said, too: a file that
 * stayed as it was would say that all is well.
 */

static int collect(json_t *items, void *userdata)
{
    json_t *all = userdata;

    return json_array_extend(all, items) ? CTL_EXIT_TRY_AGAIN : CTL_EXIT_DONE;
}

static int ask(const struct ctl_context *c, json_t **ret, json_t *accounts)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r == 0)
        r = ctl_daemon_call(&d, "Metrics", json_object(), ret);
    if (r == 0)
        r = ctl_daemon_pages(&d, "MetricsAccounts", json_object(), "accounts",
                             collect, accounts);
    return r;
}

static int write_whole(int fd, const struct buf *b)
{
    size_t done = 0;

    while (done < b->len) {
        ssize_t n = write(fd, b->data + done, b->len - done);

        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Under another name, and then in its place: nobody reads half of it. */
static int replace(const char *path, const struct buf *text)
{
    CLEANUP_FREE char *temporary = NULL;
    CLEANUP_FD int fd = -1;
    int r;

    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        return -ENOMEM;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = write_whole(fd, text);
    if (r == 0 && fchmod(fd, 0644) < 0)
        r = -errno;
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r)
        (void)unlink(temporary);
    return r;
}

static int give(const struct ctl_context *c, const struct buf *text)
{
    const char *path = ctl_args_value(c, "--file");
    int r;

    if (!path) {
        (void)fputs(buf_str(text), stdout);
        return CTL_EXIT_DONE;
    }
    r = replace(path, text);
    if (r == -EACCES || r == -EPERM || r == -EROFS)
        return ctl_fail(CTL_EXIT_NOT_PERMITTED, "%s: %s", path, strerror(-r));
    return r ? ctl_fail_errno(r, path) : CTL_EXIT_DONE;
}

static int run_metrics(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_CTL_JSON json_t *accounts = json_array();
    CLEANUP_BUF struct buf text = { 0 };
    int asked, r;

    if (!accounts)
        return ctl_fail_errno(-ENOMEM, "metrics");
    asked = ask(c, &answer, accounts);
    if (asked != CTL_EXIT_DONE && asked != CTL_EXIT_UNAVAILABLE)
        return asked;
    if (asked == CTL_EXIT_DONE && c->json) {
        (void)json_object_set(answer, "accounts", accounts);
        (void)json_dumpf(answer, stdout, JSON_COMPACT);
        (void)putchar('\n');
        return CTL_EXIT_DONE;
    }
    r = metrics_text(asked == CTL_EXIT_DONE ? answer : NULL, accounts, &text);
    if (r)
        return ctl_fail_errno(r, "metrics");
    r = give(c, &text);
    return asked ? asked : r;
}

static const struct ctl_option options[] = {
    { .name = "--file",
      .arg = "PATH",
      .help = "replace this file, for the node exporter's textfile" },
    { 0 },
};

const struct ctl_command ctl_metrics_commands[] = {
    { "metrics", NULL, 0, 0, options, "figures for Prometheus", run_metrics },
    { 0 },
};
