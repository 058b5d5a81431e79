/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A program of the operator's for one change: no shell, no environment but what
 * acme-guardian.zone(5) says, a user that the zone's file names.
 */
#include "client-shim/publish-hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

#include "base/trusted.h"
#include "client-shim/setup-run.h"

#define HOOK_PATH                                                              \
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define EXIT_LATER 75 /* EX_TEMPFAIL */
#define EXIT_NOT_RUN 127

static void result(struct publish_change *c, enum publish_state state,
                   const char *fmt, ...) PRINTF(3, 4);
static void result(struct publish_change *c, enum publish_state state,
                   const char *fmt, ...)
{
    va_list ap;

    c->state = state;
    va_start(ap, fmt);
    (void)vsnprintf(c->text, sizeof(c->text), fmt, ap);
    va_end(ap);
}

/*
 * Whoever can change the program, or put another one in its place, can do what
 * its user can. It is run by its path, since a script finds itself by that, and
 * by the one that was looked at, which has no links.
 */
static bool hook_trusted(struct publish_change *c, char **ret_path)
{
    const struct trusted_rule rule = { .type = S_IFREG, .owner = "root" };
    struct errmsg e = { 0 };

    if (trusted_path(c->zone->hook, &rule, ret_path, &e) == 0)
        return true;
    result(c, PUBLISH_FAILED, "Hook=: %.110s: %.120s", e.file, e.text);
    return false;
}

static bool hook_user(struct publish_change *c, struct run_program *p)
{
    const char *name = c->zone->hook_user;
    struct passwd *found = NULL;
    struct passwd pw;
    char buffer[16 * 1024];
    int r = getpwnam_r(name, &pw, buffer, sizeof(buffer), &found);

    if (!found) {
        result(c, PUBLISH_FAILED, "HookUser=%.64s: %s", name,
               r ? strerror(r) : "there is no such user");
        return false;
    }
    if (geteuid() != 0 && pw.pw_uid != geteuid()) {
        result(c, PUBLISH_FAILED, "only root can run a hook as %.64s", name);
        return false;
    }
    p->as_user = geteuid() == 0;
    p->uid = pw.pw_uid;
    p->gid = pw.pw_gid;
    return true;
}

/* The value and a newline, in a file that has no name. */
static int value_fd(const struct publish_change *c, int *ret)
{
    CLEANUP_FD int fd = memfd_create("value", MFD_CLOEXEC);

    if (fd < 0 ||
        write(fd, c->value.data, c->value.len) != (ssize_t)c->value.len ||
        write(fd, "\n", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0)
        return -errno;
    *ret = TAKE_FD(fd);
    return 0;
}

static bool one_line(const struct buf *value)
{
    for (size_t i = 0; i < value->len; i++) {
        if (value->data[i] < 0x20 || value->data[i] == 0x7f)
            return false;
    }
    return true;
}

/* Return: whether it ended by itself. */
static bool wait_for(pid_t pid)
{
    CLEANUP_FD int fd = pidfd_open(pid, 0);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int r;

    if (fd < 0)
        return true;
    do
        r = poll(&p, 1, PUBLISH_HOOK_S * 1000);
    while (r < 0 && errno == EINTR);
    if (r != 0)
        return true;
    (void)kill(-pid, SIGKILL); /* and what it started, in its session */
    return false;
}

static void judge(struct publish_change *c, bool ended, int status)
{
    if (!ended)
        result(c, PUBLISH_UNKNOWN, "the hook did not end within %d s",
               PUBLISH_HOOK_S);
    else if (status == 0)
        c->state = PUBLISH_DONE;
    else if (status == EXIT_LATER)
        result(c, PUBLISH_LATER, "the hook says: later");
    else if (status == EXIT_NOT_RUN)
        result(c, PUBLISH_FAILED, "the hook cannot be run (exit status 127)");
    else
        result(c, PUBLISH_FAILED, "the hook failed, exit status %d", status);
}

static int run(struct publish_change *c, struct run_program *p)
{
    CLEANUP_FD int in = -1;
    pid_t pid = -1;
    bool ended;
    int r = value_fd(c, &in);

    p->in = in;
    if (r == 0)
        r = run_start(p, &pid);
    if (r)
        return r;
    ended = wait_for(pid);
    judge(c, ended, run_wait(pid));
    return 0;
}

int publish_hook_run(struct publish_change *c)
{
    const char *const argv[] = { c->zone->hook, c->remove ? "remove" : "add",
                                 c->owner, NULL };
    char ttl[32];
    char zone[DNS_NAME_MAX + 16];
    const char *const env[] = { HOOK_PATH, "LC_ALL=C", zone, ttl, NULL };
    CLEANUP_FREE char *path = NULL;
    struct run_program p = { .argv = argv,
                             .env = env,
                             .session = true,
                             .in = -1,
                             .out = -1,
                             .extra = -1 };

    (void)snprintf(ttl, sizeof(ttl), "TTL=%u", c->ttl_s);
    (void)snprintf(zone, sizeof(zone), "ZONE=%s", zone_write_zone(c->zone));
    if (!one_line(&c->value)) {
        result(c, PUBLISH_FAILED, "a value that is not one line of text");
        return 0;
    }
    if (!hook_trusted(c, &path) || !hook_user(c, &p))
        return 0;
    p.path = path;
    return run(c, &p);
}
