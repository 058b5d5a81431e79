/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Writing. A line is sealed with a copy of the chain, written, and only then
 * does the copy become the chain: what could not be written whole has never
 * been. Nothing here waits for the disk (audit-round.c).
 */
#include "daemon/audit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <sodium.h>

#include "base/log.h"
#include "daemon/audit-internal.h"
#include "daemon/audit-line.h"
#include "daemon/message-ids.h"
#include "daemon/private-dir.h"

uint64_t audit_now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void audit_tell(struct audit *a)
{
    const struct bytes line = { a->line.data, a->line.len - 1 };
    struct audit_subscriber *s = a->subscribers;

    for (; s; s = a->next_told) {
        a->next_told = s->next;
        s->fn(line, s->userdata);
    }
}

void audit_subscribe(struct audit *a, struct audit_subscriber *s)
{
    s->next = a->subscribers;
    a->subscribers = s;
}

void audit_unsubscribe(struct audit *a, struct audit_subscriber *s)
{
    struct audit_subscriber **at = &a->subscribers;

    if (a->next_told == s)
        a->next_told = s->next;
    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
    s->next = NULL;
}

/* Once per failure and once per recovery, not for each line. */
static void note_result(struct audit *a, int r)
{
    if (r && a->write_errno == 0)
        log_msg(LOG_ERR,
                "%s cannot be written, nothing is signed until it can: %s",
                a->path, strerror(-r));
    else if (r == 0 && a->write_errno)
        log_msg(LOG_NOTICE, "%s can be written again", a->path);
    a->write_errno = -r;
}

int audit_append(struct audit *a, const struct audit_event *event,
                 size_t n_identifiers)
{
    struct chain_head head;
    struct timespec now;
    struct chain c;
    CLEANUP_WIPE(wipe, c);
    int r;

    if (a->sync_errno)
        return -a->sync_errno;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    audit_key_get(&a->key, &c);
    head.line = c.line;
    r = audit_line_format(&a->line, c.line, &now, event, n_identifiers);
    if (r == 0)
        r = chain_seal(&c, &a->line);
    if (r == 0)
        r = chain_line_mac((struct bytes){ a->line.data, a->line.len - 1 },
                           head.mac);
    if (r == 0 && a->line.len >= CHAIN_LINE_MAX)
        r = -E2BIG;
    if (r == 0) {
        r = audit_file_append(&a->file, buf_bytes(&a->line));
        note_result(a, r);
    }
    if (r)
        return r;

    audit_key_set(&a->key, &c, &head);
    audit_round_wanted(a);
    audit_tell(a);
    return 0;
}

int audit_write(struct audit *a, const struct audit_event *event)
{
    audit_rotate_if_full(a);
    return audit_append(a, event, SIZE_MAX);
}

void audit_write_refusal(struct audit *a, const struct audit_event *event)
{
    uid_t uid = event->peer ? event->peer->uid : (uid_t)-1;
    uint64_t now = audit_now_ms();

    if (!audit_limit_take(&a->limit, uid, now))
        return;
    audit_rotate_if_full(a);
    if (audit_append(a, event, AUDIT_REFUSAL_IDENTIFIERS))
        audit_limit_count(&a->limit, uid, now);
}

void audit_count_refusal(struct audit *a, uid_t uid)
{
    audit_limit_count(&a->limit, uid, audit_now_ms());
}

/* What cannot be written now is counted on. */
void audit_write_suppressed(struct audit *a)
{
    for (int i = 0; i <= AUDIT_SUPPRESSED_LINES; i++) {
        struct audit_event event = { .type = AUDIT_SUPPRESSED };
        struct peer peer = { 0 };

        if (i == AUDIT_SUPPRESSED_LINES)
            audit_limit_join(&a->limit);
        event.count = audit_limit_next(&a->limit, &peer.uid);
        if (event.count == 0)
            return;
        if (peer.uid != (uid_t)-1)
            event.peer = &peer;
        if (audit_write(a, &event)) {
            a->limit.others += event.count;
            return;
        }
    }
}

static void journal_head(const struct audit *a)
{
    char line[24], mac[2 * CHAIN_MAC_LEN + 1];

    (void)snprintf(line, sizeof(line), "%llu",
                   (unsigned long long)a->key.head.line);
    (void)sodium_bin2hex(mac, sizeof(mac), a->key.head.mac, CHAIN_MAC_LEN);
    log_event(LOG_INFO, MSG_AUDIT_HEAD,
              (struct log_field[]){ { "GUARDIAN_AUDIT_LINE", line },
                                    { "GUARDIAN_AUDIT_MAC", mac } },
              2, "audit log is at line %s, MAC %s", line, mac);
}

void audit_heartbeat(struct audit *a)
{
    const struct audit_event event = { .type = AUDIT_HEARTBEAT };

    audit_write_suppressed(a);
    if (a->file.reserve_errno)
        audit_file_reserve(&a->file);
    if (audit_write(a, &event) == 0)
        journal_head(a);
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct audit *a = userdata;

    (void)usec;
    audit_heartbeat(a);
    (void)sd_event_source_set_time_relative(
        source, (uint64_t)AUDIT_HEARTBEAT_MS * 1000);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int start_heartbeat(struct audit *a)
{
    int r = sd_event_add_time_relative(a->event, &a->heartbeat, CLOCK_MONOTONIC,
                                       (uint64_t)AUDIT_HEARTBEAT_MS * 1000, 0,
                                       on_heartbeat, a);

    return r < 0 ? r : 0;
}

static struct audit *new_audit(const struct settings *settings, sd_event *event)
{
    CLEANUP_BUF struct buf path = { 0 };
    struct audit *a = malloc(sizeof(*a));

    if (!a)
        return NULL;
    *a = (struct audit){ .event = sd_event_ref(event),
                         .dir = strdup(settings->log_dir),
                         .dir_fd = -1,
                         .sync_mode = settings->audit_sync,
                         .max_size = settings->audit_max_size,
                         .keep = settings->audit_keep,
                         .file.fd = -1,
                         .key = { .dir_fd = -1, .fd = -1 } };
    if (buf_printf(&path, "%s/" CHAIN_LOG_FILE, settings->log_dir) == 0)
        a->path = buf_take_str(&path);
    return a->dir && a->path ? a : audit_close(a);
}

static int explain(int r, const struct audit *a, struct errmsg *reterr)
{
    if (r < 0 && reterr && !reterr->text[0])
        errmsg_set_at(reterr, a->path, 0, "cannot be used: %s", strerror(-r));
    return r;
}

int audit_open(const struct settings *settings, sd_event *event,
               struct audit **ret, struct errmsg *reterr)
{
    CLEANUP_AUDIT struct audit *a = NULL;
    struct errmsg unwanted;
    int r;

    if (!reterr)
        reterr = &unwanted;
    errmsg_set(reterr, "%s", "");
    if (sodium_init() < 0)
        return -EIO;
    a = new_audit(settings, event);
    if (!a)
        return -ENOMEM;
    r = audit_round_init(a);
    if (r)
        return explain(r, a, reterr);
    r = private_dir_open(settings->log_dir, 0750, &a->dir_fd, reterr);
    if (r)
        return r == PRIVATE_DIR_E_UNTRUSTED ? -EPERM : r;
    r = audit_recover(a, settings->state_dir, settings->audit_reserve, reterr);
    if (r == 0)
        r = start_heartbeat(a);
    if (r)
        return explain(r, a, reterr);
    *ret = TAKE_PTR(a);
    return 0;
}

struct audit *audit_close(struct audit *a)
{
    if (!a)
        return NULL;
    /* A failure of these is in the journal, and audit_open() copes with it. */
    if (a->heartbeat && audit_flush(a) == 0 && audit_file_cut(&a->file))
        log_msg(LOG_WARNING, "%s keeps its reserve", a->path);
    audit_round_deinit(a);
    sd_event_source_disable_unref(a->heartbeat);
    audit_file_deinit(&a->file);
    audit_key_deinit(&a->key);
    buf_deinit(&a->line);
    if (a->dir_fd >= 0)
        close(a->dir_fd);
    sd_event_unref(a->event);
    free(a->dir);
    free(a->path);
    free(a);
    return NULL;
}

uint64_t audit_head(const struct audit *a, uint8_t ret_mac[static 32])
{
    memcpy(ret_mac, a->key.head.mac, CHAIN_MAC_LEN);
    return a->key.head.line;
}

int audit_state(const struct audit *a)
{
    return a->sync_errno ? a->sync_errno : a->write_errno;
}

int audit_reserve_state(const struct audit *a)
{
    return a->file.reserve_errno;
}

const char *audit_file(const struct audit *a)
{
    return a->path;
}

int audit_take_first_key(struct audit *a, uint8_t ret_key[static 32])
{
    return audit_key_take_first(&a->key, ret_key);
}

bool audit_first_key_waiting(const struct audit *a)
{
    return audit_key_first_waiting(&a->key);
}
