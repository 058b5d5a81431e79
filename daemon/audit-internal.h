/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/audit-file.h"
#include "daemon/audit-key.h"
#include "daemon/audit-limit.h"
#include "daemon/audit-sync.h"
#include "daemon/audit.h"

/* What the files audit*.c share of the log. */

#define AUDIT_SYNC_MS 100  /* between syncs with AuditSync=interval */
#define AUDIT_RETRY_MS 300 /* after a sync that failed */
#define AUDIT_ROTATE_RETRY_MS 60000
#define AUDIT_SUPPRESSED_LINES 16 /* a minute; the rest is counted together */
#define AUDIT_NEW_FILE CHAIN_LOG_FILE ".new"

/* Somebody who waits for a line to be on disk. */
struct audit_waiter {
    struct audit_waiter *next;
    uint64_t line;
    void (*fn)(int r, void *userdata);
    void *userdata;
};

struct audit {
    sd_event *event;
    sd_event_source *heartbeat;
    sd_event_source *round_timer;
    char *dir;  /* LOGDIR */
    char *path; /* LOGDIR/audit.jsonl */
    int dir_fd;
    enum settings_audit_sync sync_mode;
    uint64_t max_size;
    unsigned keep;

    struct audit_file file;
    struct audit_key key;
    struct buf line; /* reused */
    struct audit_limit limit;
    int write_errno;
    uint64_t rotate_after_ms; /* not tried before, since it failed */

    struct audit_sync *sync;
    int sync_errno;      /* of the last round that failed; 0: it was good */
    uint64_t round_end;  /* of the log, when the round began */
    uint64_t synced_end; /* known to be on disk, in the current file */
    bool armed;          /* the timer for the next round runs */
    struct audit_waiter *waiters, **last_waiter;

    struct audit_subscriber *subscribers;
    struct audit_subscriber *next_told; /* while they are being told */
};

uint64_t audit_now_ms(void); /* CLOCK_MONOTONIC */

/* audit_append() - without a look at size or limits. */
int audit_append(struct audit *a, const struct audit_event *event,
                 size_t n_identifiers) MUST_CHECK;

/* audit_tell() - a->line, newest, to the subscribers. */
void audit_tell(struct audit *a);

/* audit_recover() - key and file brought together; AUDIT_E_INVALID */
int audit_recover(struct audit *a, const char *state_dir, uint64_t reserve,
                  struct errmsg *reterr) MUST_CHECK;

/* audit-rotate.c */
int audit_rotate_file(struct audit *a) MUST_CHECK;
void audit_rotate_if_full(struct audit *a);

/* audit-round.c: a round is a sync and then the saving of what it covers. */
int audit_round_init(struct audit *a) MUST_CHECK;
void audit_round_deinit(struct audit *a);
void audit_round_wanted(struct audit *a); /* a line was written */

/* audit_flush() - all on disk, here and now. Nobody who waits is called. */
int audit_flush(struct audit *a) MUST_CHECK;
