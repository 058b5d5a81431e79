/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Written for every decision, so by hand: a printf() for each member would cost
 * more than the rest of the log together.
 */
#include "daemon/audit-line.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

/* Appends until something fails, and remembers that. */
struct writer {
    struct buf *b;
    int r;
};

static const char *const type_names[] = {
    [AUDIT_DECISION] = "decision",
    [AUDIT_ADMIN] = "admin",
    [AUDIT_KEY] = "key",
    [AUDIT_POLICY] = "policy",
    [AUDIT_PROCESS] = "process",
    [AUDIT_HEARTBEAT] = "heartbeat",
    [AUDIT_SUPPRESSED] = "suppressed",
    [AUDIT_CHAIN] = "chain",
    [AUDIT_ROTATE] = "rotate",
    [AUDIT_DELETED] = "deleted",
};

static void put(struct writer *w, const char *text)
{
    if (w->r == 0)
        w->r = buf_append_str(w->b, text);
}

static void put_number(struct writer *w, const char *name, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put(w, name);
    if (w->r == 0)
        w->r = buf_append(w->b, digits + i, sizeof(digits) - i);
}

static void put_string(struct writer *w, struct bytes s)
{
    if (s.len > AUDIT_TEXT_MAX)
        s.len = AUDIT_TEXT_MAX;
    if (w->r == 0)
        w->r = buf_append_json(w->b, s);
}

static void put_text(struct writer *w, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    put(w, name);
    put_string(w, bytes_from_str(text));
}

static void put_hash(struct writer *w, const char *name, const uint8_t *hash)
{
    char hex[2 * 32 + 1];

    if (!hash)
        return;
    (void)sodium_bin2hex(hex, sizeof(hex), hash, 32);
    put(w, name);
    put(w, "\"");
    put(w, hex);
    put(w, "\"");
}

static void put_digits(char *at, unsigned width, unsigned n)
{
    while (width > 0) {
        at[--width] = (char)('0' + n % 10);
        n /= 10;
    }
}

static void put_time(struct writer *w, const struct timespec *now)
{
    char text[] = ",\"time\":\"0000-00-00T00:00:00.000000Z\"";
    char *at = text + sizeof(",\"time\":\"") - 1;
    struct tm tm = { 0 };

    (void)gmtime_r(&now->tv_sec, &tm);
    put_digits(at, 4, (unsigned)tm.tm_year + 1900);
    put_digits(at + 5, 2, (unsigned)tm.tm_mon + 1);
    put_digits(at + 8, 2, (unsigned)tm.tm_mday);
    put_digits(at + 11, 2, (unsigned)tm.tm_hour);
    put_digits(at + 14, 2, (unsigned)tm.tm_min);
    put_digits(at + 17, 2, (unsigned)tm.tm_sec);
    put_digits(at + 20, 6, (unsigned)(now->tv_nsec / 1000));
    put(w, text);
}

static void put_peer(struct writer *w, const struct peer *peer)
{
    if (!peer)
        return;
    put_number(w, ",\"uid\":", peer->uid);
    if (peer->pid > 0)
        put_number(w, ",\"pid\":", (uint64_t)peer->pid);
    put_text(w,
             peer->unit_certain ? ",\"unit\":" : ",\"unit_hint\":", peer->unit);
}

static void put_identifiers(struct writer *w, const struct identifiers *ids,
                            size_t max)
{
    size_t start = w->b->len;
    size_t i;

    if (!ids || ids->n == 0)
        return;
    put(w, ",\"identifiers\":[");
    for (i = 0; w->r == 0 && i < ids->n && i < max &&
                w->b->len - start < AUDIT_IDENTIFIERS_MAX;
         i++) {
        if (i > 0)
            put(w, ",");
        put_string(w, bytes_from_str(ids->items[i].value));
    }
    put(w, "]");
    if (i < ids->n)
        put_number(w, ",\"identifiers_left_out\":", ids->n - i);
}

int audit_line_format(struct buf *line, uint64_t n, const struct timespec *now,
                      const struct audit_event *e, size_t n_identifiers)
{
    struct writer w = { .b = line };

    if (e->type == AUDIT_UNSET || (size_t)e->type >= ARRAY_LEN(type_names))
        return -EINVAL;
    buf_clear(line);
    put_number(&w, "{\"n\":", n);
    put_time(&w, now);
    put_text(&w, ",\"type\":", type_names[e->type]);
    put_peer(&w, e->peer);
    put_text(&w, ",\"socket\":", e->socket);
    put_text(&w, ",\"account\":", e->account);
    put_text(&w, ",\"thumbprint\":", e->thumbprint);
    put_text(&w, ",\"operation\":", e->operation);
    put_identifiers(&w, e->identifiers, n_identifiers);
    put_text(&w, ",\"url\":", e->url);
    put_text(&w, ",\"verdict\":", e->verdict);
    put_text(&w, ",\"reason\":", e->reason);
    put_text(&w, ",\"rule\":", e->rule);
    put_text(&w, ",\"rule_id\":", e->rule_id);
    put_text(&w, ",\"detail\":", e->detail);
    put_hash(&w, ",\"input_sha256\":", e->input_sha256);
    put_hash(&w, ",\"payload_sha256\":", e->payload_sha256);
    if (e->count > 0)
        put_number(&w, ",\"count\":", e->count);
    put_text(&w, ",\"file\":", e->file);
    put_hash(&w, ",\"file_mac\":", e->file_mac);
    return w.r;
}
