/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/settings-value.h"
#include "base/trusted.h"
#include "daemon/message-ids.h"

#define LOOK_US (60 * UINT64_C(1000000))
#define LOOK_SLACK_US (5 * UINT64_C(1000000))

/* ---- the clock ---- */

enum host_clock host_judge_clock(int64_t now_s, int64_t built_s,
                                 bool synchronised)
{
    if (now_s < built_s)
        return HOST_CLOCK_BEFORE_BUILD;
    return synchronised ? HOST_CLOCK_GOOD : HOST_CLOCK_UNSYNCHRONISED;
}

const char *host_clock_text(enum host_clock c)
{
    switch (c) {
    case HOST_CLOCK_UNSYNCHRONISED:
        return "the host's clock is not synchronised: times in the audit log, "
               "OrdersPerDay= and MaxValidity= are no better than it";
    case HOST_CLOCK_BEFORE_BUILD:
        return "the host's clock is wrong, it shows a time before this version "
               "was built: so are times in the audit log, OrdersPerDay= and "
               "MaxValidity=";
    case HOST_CLOCK_UNKNOWN:
    case HOST_CLOCK_GOOD:
        break;
    }
    return NULL;
}

/* Asking is no right of anybody's; where it fails all the same, the kernel has
 * nothing to say. */
static bool is_synchronised(void)
{
    struct timex t = { 0 };

    return adjtimex(&t) < 0 || !(t.status & STA_UNSYNC);
}

static void tell_clock(enum host_clock before, enum host_clock now)
{
    const char *text = host_clock_text(now);

    if (text)
        log_event(now == HOST_CLOCK_BEFORE_BUILD ? LOG_ERR : LOG_WARNING,
                  MSG_HOST,
                  (struct log_field[]){ { "GUARDIAN_DETAIL", "clock" } }, 1,
                  "Going on, but %s", text);
    else if (before != HOST_CLOCK_UNKNOWN)
        log_event(LOG_NOTICE, MSG_HOST,
                  (struct log_field[]){ { "GUARDIAN_DETAIL", "clock" } }, 1,
                  "The host's clock is synchronised");
}

static void look_at_clock(struct host *h)
{
    enum host_clock before = h->clock;
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    h->clock =
        host_judge_clock(now.tv_sec, GUARDIAN_BUILD_TIME, is_synchronised());
    if (h->clock == before)
        return;
    tell_clock(before, h->clock);
    if (before != HOST_CLOCK_UNKNOWN)
        h->on_change(h->userdata);
}

static int on_minute(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct host *h = userdata;
    int r;

    (void)usec;
    look_at_clock(h);
    r = sd_event_source_set_time_relative(s, LOOK_US);
    return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int host_watch_clock(struct host *h, sd_event *event,
                     void (*on_change)(void *userdata), void *userdata)
{
    int r;

    h->on_change = on_change;
    h->userdata = userdata;
    look_at_clock(h);
    r = sd_event_add_time_relative(event, &h->timer, CLOCK_MONOTONIC, LOOK_US,
                                   LOOK_SLACK_US, on_minute, h);
    return r < 0 ? r : 0;
}

/* ---- directories of sockets ---- */

static int look_at_directory(const char *path, struct errmsg *ret)
{
    static const struct trusted_rule rule = { .type = S_IFDIR,
                                              .owner =
                                                  "root or the daemon's user" };
    struct stat st;

    if (stat(path, &st) < 0) {
        errmsg_set_at(ret, path, 0, "%s", strerror(errno));
        return -errno;
    }
    /* As /tmp: others' entries are safe from those who may write. */
    if (st.st_mode & S_ISVTX)
        st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
    return trusted_check(&st, path, &rule, ret);
}

static bool is_known(const struct host *h, const char *text)
{
    for (size_t i = 0; h->directories && h->directories[i]; i++) {
        if (strcmp(h->directories[i], text) == 0)
            return true;
    }
    return false;
}

void host_look_at_socket(struct host *h, const char *path)
{
    CLEANUP_FREE char *copy = strdup(path);
    CLEANUP_BUF struct buf text = { 0 };
    struct errmsg e = { 0 };

    if (!copy || path[0] != '/')
        return;
    for (char *dir = dirname(copy);; dir = dirname(dir)) {
        if (look_at_directory(dir, &e))
            break;
        if (strcmp(dir, "/") == 0)
            return;
    }
    if (buf_printf(&text,
                   "the directory %s of sockets %s: others can replace "
                   "them",
                   e.file, e.text) ||
        is_known(h, buf_str(&text)) ||
        settings_strv_add(&h->directories, buf_str(&text)))
        return;
    log_event(LOG_WARNING, MSG_HOST,
              (struct log_field[]){ { "GUARDIAN_DETAIL", e.file } }, 1,
              "Going on, but %s", buf_str(&text));
}

void host_look_at_fd(struct host *h, int fd)
{
    struct sockaddr_un address = { 0 };
    socklen_t len = sizeof(address) - 1;

    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        host_look_at_socket(h, address.sun_path);
}

void host_deinit(struct host *h)
{
    h->timer = sd_event_source_disable_unref(h->timer);
    h->directories = settings_strv_free(h->directories);
}
