/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/audit-verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/chain-state.h"
#include "base/secret.h"

#define KEY_HEX (2 * CHAIN_KEY_LEN)
#define LINE_DIGITS_MAX 19

static int failed(int r, const char *file, struct errmsg *reterr)
{
    errmsg_set_at(reterr, file, 0, "cannot be read: %s", strerror(-r));
    return r;
}

int audit_verify(const char *log_dir, const struct chain *from,
                 const struct chain_head *expected,
                 struct audit_verify_result *ret, struct errmsg *reterr)
{
    struct chain_walk w = { .chain = *from };
    CLEANUP_WIPE(wipe, w);
    CLEANUP_FD int dir_fd = -1;
    int r;

    if (sodium_init() < 0)
        return -EIO;
    dir_fd = open(log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return failed(-errno, log_dir, reterr);

    if (expected)
        w.expected = *expected;
    r = chain_walk(dir_fd, &w);
    *ret = (struct audit_verify_result){
        .head = w.head,
        .tail_checked = r == 0 && expected && expected->line >= from->line,
        .torn = w.torn,
        .file_start = w.file_start
    };
    if (r == CHAIN_WALK_E_FAULT) {
        chain_walk_explain(&w, log_dir, reterr);
        return AUDIT_VERIFY_E_INVALID;
    }
    if (r)
        return failed(r, log_dir, reterr);
    if (w.head.line == 0) {
        errmsg_set_at(reterr, log_dir, 0, "there is no audit log here");
        return AUDIT_VERIFY_E_EMPTY;
    }
    return 0;
}

/* "LINE:" if there is one; what follows it. */
static const char *key_line(const char *text, size_t len, uint64_t *ret)
{
    const char *colon = memchr(text, ':', len);
    uint64_t line = 0;

    *ret = 1;
    if (!colon)
        return text;
    if (colon - text > LINE_DIGITS_MAX || text[0] == '0')
        return NULL;
    for (const char *p = text; p < colon; p++) {
        if (*p < '0' || *p > '9')
            return NULL;
        line = line * 10 + (uint64_t)(*p - '0');
    }
    *ret = line;
    return line > 0 ? colon + 1 : NULL;
}

static bool key_parse(const struct secret *text, struct chain *ret)
{
    const char *start = (const char *)text->data;
    const char *hex = key_line(start, text->len, &ret->line);
    size_t len = 0;

    return hex && start + text->len - hex == KEY_HEX &&
           sodium_hex2bin(ret->key, sizeof(ret->key), hex, KEY_HEX, NULL, &len,
                          NULL) == 0 &&
           len == sizeof(ret->key);
}

int audit_key_read(int fd, const char *file, struct chain *ret,
                   struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *text = NULL;
    int r;

    r = secret_new_read(fd, true, &text);
    if (r < 0 && r != -ENODATA && r != -E2BIG)
        return failed(r, file, reterr);
    if (r == 0 && key_parse(text, ret))
        return 0;
    errmsg_set_at(reterr, file, 1,
                  "expected the first key, %d hex digits, or LINE: and a later "
                  "one",
                  KEY_HEX);
    return AUDIT_KEY_E_FORM;
}

int audit_key_save(const char *path, const struct chain *key)
{
    char text[LINE_DIGITS_MAX + 1 + KEY_HEX + 2];
    CLEANUP_WIPE(wipe, text);
    CLEANUP_FD int fd = -1;
    size_t n;

    n = (size_t)snprintf(text, sizeof(text),
                         "%llu:", (unsigned long long)key->line);
    (void)sodium_bin2hex(text + n, sizeof(text) - n, key->key,
                         sizeof(key->key));
    n += KEY_HEX;
    text[n++] = '\n';
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (write(fd, text, n) == (ssize_t)n && fsync(fd) == 0)
        return 0;
    (void)unlink(path);
    return -EIO;
}

int audit_head_from_state(const char *state_dir, struct chain_head *ret,
                          struct errmsg *reterr)
{
    struct chain_state state = { 0 };
    CLEANUP_WIPE(wipe, state);
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_FD int fd = -1;
    int r;

    r = buf_printf(&path, "%s/" CHAIN_STATE_FILE, state_dir);
    if (r)
        return r;
    fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return failed(-errno, buf_str(&path), reterr);
    r = chain_state_read(fd, &state);
    if (r == CHAIN_STATE_E_DAMAGED) {
        errmsg_set_at(reterr, buf_str(&path), 0, "is damaged");
        return -EBADMSG;
    }
    if (r)
        return failed(r, buf_str(&path), reterr);

    *ret = (struct chain_head){ .line = state.chain.line - 1 };
    memcpy(ret->mac, state.mac, sizeof(ret->mac));
    return 0;
}

int audit_head_parse(const char *text, struct chain_head *ret)
{
    struct chain_head head = { 0 };
    const char *colon = strchr(text, ':');
    size_t len = 0;

    if (!colon || text[0] < '1' || text[0] > '9' ||
        colon - text > LINE_DIGITS_MAX ||
        strspn(text, "0123456789") != (size_t)(colon - text))
        return -EINVAL;
    head.line = strtoull(text, NULL, 10);
    if (strlen(colon + 1) != 2 * sizeof(head.mac) ||
        sodium_hex2bin(head.mac, sizeof(head.mac), colon + 1,
                       2 * sizeof(head.mac), NULL, &len, NULL) != 0 ||
        len != sizeof(head.mac))
        return -EINVAL;
    *ret = head;
    return 0;
}
