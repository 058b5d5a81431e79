/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The log is read as what audit-line.c writes: members in a fixed order, no
 * nested objects, and within a value every quote is escaped, so that the text
 * ,"name":" can only be a member. A JSON reader would take ten times as long,
 * and every start waits for this.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "daemon/audit-internal.h"

#define RULE_ID_MAX 64

static bool has(struct bytes line, const char *text)
{
    return memmem(line.data, line.len, text, strlen(text)) != NULL;
}

/* The text of a member that needs no unescaping: up to the next quote. */
static bool text_of(struct bytes line, const char *opening, struct bytes *ret)
{
    const uint8_t *at = memmem(line.data, line.len, opening, strlen(opening));
    const uint8_t *end;

    if (!at)
        return false;
    at += strlen(opening);
    end = memchr(at, '"', (size_t)(line.data + line.len - at));
    if (!end)
        return false;
    *ret = (struct bytes){ at, (size_t)(end - at) };
    return true;
}

static bool digits(const uint8_t *s, size_t n, int *ret)
{
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *ret = *ret * 10 + (s[i] - '0');
    }
    return true;
}

/* "2026-11-21T22:00:00.123456Z" */
static bool time_of(struct bytes line, uint64_t *ret_ms)
{
    struct tm tm = { 0 };
    struct bytes s;
    time_t t;
    int ms;

    if (!text_of(line, ",\"time\":\"", &s) || s.len != 27 ||
        !digits(s.data, 4, &tm.tm_year) || !digits(s.data + 5, 2, &tm.tm_mon) ||
        !digits(s.data + 8, 2, &tm.tm_mday) ||
        !digits(s.data + 11, 2, &tm.tm_hour) ||
        !digits(s.data + 14, 2, &tm.tm_min) ||
        !digits(s.data + 17, 2, &tm.tm_sec) || !digits(s.data + 20, 3, &ms))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    t = timegm(&tm);
    if (t < 0)
        return false;
    *ret_ms = (uint64_t)t * 1000 + (uint64_t)ms;
    return true;
}

static int replay_line(struct bytes line, uint64_t since_ms, audit_order_fn fn,
                       void *userdata)
{
    uint8_t hash[32];
    char rule_id[RULE_ID_MAX];
    struct bytes id, hex;
    uint64_t time_ms;
    size_t len = 0;

    if (!has(line, ",\"operation\":\"order\"") ||
        !has(line, ",\"type\":\"decision\"") ||
        !has(line, ",\"verdict\":\"allowed\"") || !time_of(line, &time_ms) ||
        time_ms < since_ms || !text_of(line, ",\"rule_id\":\"", &id) ||
        id.len >= sizeof(rule_id) ||
        !text_of(line, ",\"payload_sha256\":\"", &hex) ||
        sodium_hex2bin(hash, sizeof(hash), (const char *)hex.data, hex.len,
                       NULL, &len, NULL) != 0 ||
        len != sizeof(hash))
        return 0;
    memcpy(rule_id, id.data, id.len);
    rule_id[id.len] = 0;
    return fn(rule_id, time_ms, hash, userdata);
}

static int open_log(const struct audit *a, uint64_t last, int *ret_fd)
{
    char name[CHAIN_FILE_MAX];

    chain_file_name(last, name);
    *ret_fd = openat(a->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *ret_fd < 0 ? -errno : 0;
}

static int replay_file(const struct audit *a, uint64_t last, uint64_t since_ms,
                       audit_order_fn fn, void *userdata)
{
    CLEANUP_CHAIN_READER struct chain_reader reader = { .fd = -1 };
    CLEANUP_FD int fd = -1;
    struct bytes line;
    int r;

    r = open_log(a, last, &fd);
    if (r == 0)
        r = chain_reader_init(&reader, fd, 0);
    while (r == 0) {
        r = chain_reader_next(&reader, &line);
        if (r > 0)
            return 0; /* the end; what is no line holds no order */
        if (r == 0)
            r = replay_line(line, since_ms, fn, userdata);
    }
    return r;
}

/* Did this file begin before the day that is asked for? */
static int begins_before(const struct audit *a, uint64_t last,
                         uint64_t since_ms, bool *ret)
{
    CLEANUP_CHAIN_READER struct chain_reader reader = { .fd = -1 };
    CLEANUP_FD int fd = -1;
    struct bytes line;
    uint64_t time_ms;
    int r;

    r = open_log(a, last, &fd);
    if (r == 0)
        r = chain_reader_init(&reader, fd, 0);
    if (r == 0)
        r = chain_reader_next(&reader, &line);
    if (r < 0)
        return r;
    *ret = r == 0 && time_of(line, &time_ms) && time_ms < since_ms;
    return 0;
}

int audit_replay_orders(const struct audit *a, uint64_t since_ms,
                        audit_order_fn fn, void *userdata)
{
    CLEANUP_CHAIN_FILES struct chain_files files = { 0 };
    bool before = false;
    size_t start;
    int r;

    r = chain_files_list(a->dir_fd, &files);
    if (r == 0)
        r = begins_before(a, 0, since_ms, &before);
    for (start = files.n; r == 0 && !before && start > 0; start--)
        r = begins_before(a, files.last[start - 1], since_ms, &before);
    for (size_t i = start; r == 0 && i < files.n; i++)
        r = replay_file(a, files.last[i], since_ms, fn, userdata);
    return r ? r : replay_file(a, 0, since_ms, fn, userdata);
}
