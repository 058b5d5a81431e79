/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "acme/request.h"
#include "base/errmsg.h"
#include "base/settings.h"
#include "ipc/peer.h"

/*
 * The audit log (design section 12): LOGDIR/audit.jsonl, one JSON line per
 * decision and admin call, each with a MAC of an evolving key (base/chain.h).
 *
 * STATEDIR/audit.chain holds the current key, written after the log was synced,
 * so that after a crash the key is never ahead of the lines: at start it is
 * brought forward over the lines that came after. STATEDIR/audit.first holds
 * the first key until an operator takes it.
 *
 * A line that cannot be written whole is undone (truncated) and reported; the
 * caller then signs nothing. A syncing child does the fdatasync()s, so the
 * event loop never waits for the disk.
 */

struct audit;

enum audit_type {
    AUDIT_UNSET = 0,
    AUDIT_DECISION, /* a request by a client */
    AUDIT_ADMIN,    /* an admin call */
    AUDIT_KEY,      /* key generated, adopted, destroyed, unfit */
    AUDIT_POLICY,   /* policy set loaded: hash */
    AUDIT_PROCESS,  /* start, stop */
    AUDIT_HEARTBEAT,
    AUDIT_SUPPRESSED, /* n refusals of a uid not written one by one */
};

/* Whatever is NULL, 0 or empty is left out of the line. All borrowed. */
struct audit_event {
    enum audit_type type;
    const struct peer *peer; /* uid, pid, unit */
    const char *socket;      /* instance of the socket */
    const char *account;
    const char *thumbprint;
    const char *operation; /* ACME operation or admin method */
    const struct identifiers *identifiers;
    const char *url;
    const char *verdict;           /* "allowed", "denied", "malformed", ... */
    const char *reason;            /* reason_code() */
    const char *rule;              /* "FILE:LINE" */
    const char *rule_id;           /* policy_ruleset_id() */
    const char *detail;            /* free text, escaped by the writer */
    const uint8_t *input_sha256;   /* 32 octets: of the JWS signing input */
    const uint8_t *payload_sha256; /* orders: of the payload (retry counting) */
    uint64_t count;                /* AUDIT_SUPPRESSED */
};

#define AUDIT_E_INVALID 1 /* the chain does not fit the log: *reterr */

/**
 * audit_open() - open or create, bring the chain key forward
 *
 * Verifies the lines after the stored key. A torn last line (no newline: a
 * crash while writing, nothing was signed for it) is cut and noted.
 *
 * Return: 0; AUDIT_E_INVALID; negative errno, all with *reterr.
 */
int audit_open(const struct settings *settings, sd_event *event,
               struct audit **ret, struct errmsg *reterr) MUST_CHECK;

/**
 * audit_write() - append one line, before the signature it allows leaves
 *
 * Return: 0; negative errno: nothing was written, sign nothing.
 */
int audit_write(struct audit *a, const struct audit_event *event) MUST_CHECK;

/*
 * audit_write_refusal() - the same, rate-limited per uid (then one counting
 * line a minute says how many): refusals must not be able to fill the disk.
 */
void audit_write_refusal(struct audit *a, const struct audit_event *event);

/*
 * audit_when_synced() - with AuditSync=group calls @fn when the lines written
 * so far are on disk; with interval at once, before returning.
 * @r: 0 or negative errno of fdatasync.
 */
int audit_when_synced(struct audit *a, void (*fn)(int r, void *userdata),
                      void *userdata) MUST_CHECK;

/* audit_rotate() - *ret_file: name of the file that was closed; caller frees.*/
int audit_rotate(struct audit *a, char **ret_file) MUST_CHECK;

/* audit_head() - the newest line's number and MAC. */
uint64_t audit_head(const struct audit *a, uint8_t ret_mac[static 32]);

/* audit_state() - 0 writable, or the errno of the last failed write. */
int audit_state(const struct audit *a);

/* audit_file() - path of the file being written, borrowed. */
const char *audit_file(const struct audit *a);

/* audit_take_first_key() - once; -ENOENT when it was taken before. */
int audit_take_first_key(struct audit *a,
                         uint8_t ret_key[static 32]) MUST_CHECK;
bool audit_first_key_waiting(const struct audit *a);

/* audit_subscribe() - every line as written, without its newline. */
struct audit_subscriber {
    void (*fn)(struct bytes line, void *userdata);
    void *userdata;
    struct audit_subscriber *next; /* the log's own */
};
void audit_subscribe(struct audit *a, struct audit_subscriber *s);
void audit_unsubscribe(struct audit *a, struct audit_subscriber *s);

/**
 * audit_replay_orders() - granted orders of the last day, oldest first
 *
 * For the counting of OrdersPerDay= at start.
 */
typedef int (*audit_order_fn)(const char *rule_id, uint64_t time_ms,
                              const uint8_t payload_sha256[static 32],
                              void *userdata);
int audit_replay_orders(const struct audit *a, uint64_t since_ms,
                        audit_order_fn fn, void *userdata) MUST_CHECK;

/* audit_close() - a last sync, and the key is written. */
struct audit *audit_close(struct audit *a);
DEFINE_CLEANUP(struct audit *, audit_close)
#define CLEANUP_AUDIT CLEANUP(audit_close_p)
