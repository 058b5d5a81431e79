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
 * The members of a line, those without a value left out, in this order:
 *
 *   n, time (UTC, microseconds), type, uid, pid, unit (or unit_hint, when the
 *   kernel could not pin it), socket, account, thumbprint, operation,
 *   identifiers (array), identifiers_left_out, url, verdict, reason, rule,
 *   rule_id, detail, input_sha256, payload_sha256, count, file, file_mac, mac
 *
 * STATEDIR/audit.chain holds the current key, written after the log was synced,
 * so that after a crash the key is never ahead of the lines: at start it is
 * brought forward over the lines that came after. STATEDIR/audit.first holds
 * the first key until an operator takes it.
 *
 * A line that cannot be written whole is undone (truncated) and reported; the
 * caller then signs nothing. A syncing child does the fdatasync()s, so the
 * event loop does not wait for the disk, but for once when a file is closed.
 * The process must ignore SIGXFSZ, so that a file size limit is an error.
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
    /* Of the log itself: */
    AUDIT_CHAIN,   /* the first line of a new chain */
    AUDIT_ROTATE,  /* the first line of a file: which came before */
    AUDIT_DELETED, /* a file that AuditKeep= lets go */
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
    const char *file;              /* AUDIT_ROTATE, AUDIT_DELETED */
    const uint8_t *file_mac;       /* 32 octets: of that file's last line */
};

#define AUDIT_E_INVALID 1 /* the chain does not fit the log: *reterr */

/**
 * audit_open() - open or create, bring the chain key forward
 *
 * Verifies the lines after the stored key. A torn last line (no newline: a
 * crash while writing, nothing was signed for it) is cut and noted. Forks the
 * syncing child. LOGDIR and STATEDIR are made if missing.
 *
 * A log that does not fit is left as it is. The way on is the operator's: move
 * LOGDIR/audit.jsonl* and STATEDIR/audit.chain away; the next audit_open()
 * begins a new chain, with a new first key.
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
 * audit_write_refusal() - the same, but refusals must not be able to fill the
 * disk: a uid has AUDIT_REFUSALS_BURST lines, then one each
 * AUDIT_REFUSAL_EVERY_MS, all together so many as the second pair says. The
 * rest is counted, and one line a minute says how many. Only the first
 * AUDIT_REFUSAL_IDENTIFIERS are listed.
 */
void audit_write_refusal(struct audit *a, const struct audit_event *event);
#define AUDIT_REFUSALS_BURST 20
#define AUDIT_REFUSAL_EVERY_MS 10000
#define AUDIT_ALL_REFUSALS_BURST 200
#define AUDIT_ALL_REFUSAL_EVERY_MS 1000
#define AUDIT_REFUSAL_IDENTIFIERS 8

/* audit_count_refusal() - of a caller that no rule matches: counted only. */
void audit_count_refusal(struct audit *a, uid_t uid);

/*
 * audit_when_synced() - with AuditSync=group calls @fn when the lines written
 * so far are on disk; with interval at once, before returning.
 * @r: 0 or negative errno of fdatasync. Called from the event loop (or from
 * audit_close()).
 */
int audit_when_synced(struct audit *a, void (*fn)(int r, void *userdata),
                      void *userdata) MUST_CHECK;

/* audit_forget() - nothing that waits with @userdata will be called. */
void audit_forget(struct audit *a, const void *userdata);

/* audit_rotate() - *ret_file: name of the file that was closed; caller frees.*/
int audit_rotate(struct audit *a, char **ret_file) MUST_CHECK;

/* audit_head() - the newest line's number and MAC. */
uint64_t audit_head(const struct audit *a, uint8_t ret_mac[static 32]);

/* audit_state() - 0 writable, or the errno of the last failed write or sync. */
int audit_state(const struct audit *a);

/* audit_reserve_state() - 0, or why no space could be set aside beforehand
 * (lines are still written): an errno. For status. */
int audit_reserve_state(const struct audit *a);

/*
 * audit_heartbeat() - what the log does by itself each minute: a heartbeat
 * line, counts of suppressed refusals, the head to the journal.
 */
void audit_heartbeat(struct audit *a);
#define AUDIT_HEARTBEAT_MS 60000

/* audit_write_suppressed() - those counts alone: before the log is closed,
 * since they are nowhere else. */
void audit_write_suppressed(struct audit *a);

/* audit_file() - path of the file being written, borrowed. */
const char *audit_file(const struct audit *a);

/* audit_take_first_key() - once; -ENOENT when it was taken before. */
int audit_take_first_key(struct audit *a,
                         uint8_t ret_key[static 32]) MUST_CHECK;
bool audit_first_key_waiting(const struct audit *a);

/* audit_subscribe() - every line as written, without its newline. The function
 * may unsubscribe, but writes no line. */
struct audit_subscriber {
    void (*fn)(struct bytes line, void *userdata);
    void *userdata;
    struct audit_subscriber *next; /* the log's own */
};
void audit_subscribe(struct audit *a, struct audit_subscriber *s);
void audit_unsubscribe(struct audit *a, struct audit_subscriber *s);

/**
 * audit_replay_orders() - granted orders since then, oldest first
 *
 * "Granted": type decision, operation "order", verdict "allowed", with rule_id
 * and payload_sha256.
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
