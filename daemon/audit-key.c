/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit-key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "daemon/private-dir.h"

#define NEW_STATE_FILE CHAIN_STATE_FILE ".new"
#define OLD_FIRST_KEY_FILE AUDIT_FIRST_KEY_FILE ".old"

void audit_key_deinit(struct audit_key *k)
{
    audit_key_wipe(k);
    if (k->fd >= 0)
        close(k->fd);
    if (k->dir_fd >= 0)
        close(k->dir_fd);
    *k = (struct audit_key){ .dir_fd = -1, .fd = -1 };
}

void audit_key_wipe(struct audit_key *k)
{
    k->now = secret_free(k->now);
    k->pending = secret_free(k->pending);
}

void audit_key_get(const struct audit_key *k, struct chain *ret)
{
    memcpy(ret, k->now->data, sizeof(*ret));
}

void audit_key_set(struct audit_key *k, const struct chain *c,
                   const struct chain_head *head)
{
    memcpy(k->now->data, c, sizeof(*c));
    k->head = *head;
}

static int open_state(struct audit_key *k, uint64_t *ret_offset)
{
    struct chain_state state = { 0 };
    CLEANUP_WIPE(wipe, state);
    struct chain_head head;
    int r;

    k->fd =
        openat(k->dir_fd, CHAIN_STATE_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (k->fd < 0)
        return errno == ENOENT ? AUDIT_KEY_E_NONE : -errno;
    r = chain_state_read(k->fd, &state);
    if (r)
        return r == CHAIN_STATE_E_DAMAGED ? AUDIT_KEY_E_DAMAGED : r;

    head.line = state.chain.line - 1;
    memcpy(head.mac, state.mac, sizeof(head.mac));
    audit_key_set(k, &state.chain, &head);
    k->sequence = state.sequence;
    k->saved = state.chain.line;
    *ret_offset = state.offset;
    return 0;
}

static int explain(int r, const char *state_dir, struct errmsg *reterr)
{
    char path[sizeof(reterr->file)];

    (void)snprintf(path, sizeof(path), "%s/" CHAIN_STATE_FILE, state_dir);
    if (r == AUDIT_KEY_E_NONE)
        errmsg_set_at(reterr, path, 0, "the key of the audit log is missing");
    else if (r == AUDIT_KEY_E_DAMAGED)
        errmsg_set_at(reterr, path, 0, "the key of the audit log is damaged");
    else if (r < 0)
        errmsg_set_at(reterr, path, 0, "cannot be used: %s", strerror(-r));
    return r;
}

int audit_key_open(struct audit_key *k, const char *state_dir,
                   uint64_t *ret_offset, struct errmsg *reterr)
{
    int r;

    *k = (struct audit_key){ .dir_fd = -1, .fd = -1 };
    r = private_dir_open(state_dir, 0700, &k->dir_fd, reterr);
    if (r)
        return r == PRIVATE_DIR_E_UNTRUSTED ? -EPERM : r;
    r = secret_new(sizeof(struct chain), &k->now);
    if (r == 0)
        r = secret_new(sizeof(struct chain_state), &k->pending);
    if (r == 0)
        r = open_state(k, ret_offset);
    return explain(r, state_dir, reterr);
}

/* A whole new file, on disk, before it gets its name. */
static int write_file(int dir_fd, const char *name, const void *data,
                      size_t len, int *ret_fd)
{
    CLEANUP_FD int fd = -1;
    ssize_t n;

    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) < 0)
        return -errno;
    n = pwrite(fd, data, len, 0);
    if (n != (ssize_t)len)
        return n < 0 ? -errno : -EIO;
    if (fsync(fd) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The key of a chain that nobody has taken yet may still be wanted. */
static int keep_old_first_key(const struct audit_key *k)
{
    if (renameat(k->dir_fd, AUDIT_FIRST_KEY_FILE, k->dir_fd,
                 OLD_FIRST_KEY_FILE) < 0 &&
        errno != ENOENT)
        return -errno;
    return 0;
}

static int begin_state(struct audit_key *k, const struct chain *c)
{
    static const uint8_t empty[2 * CHAIN_STATE_SLOT];
    const struct chain_head none = { 0 };
    int r;

    r = write_file(k->dir_fd, NEW_STATE_FILE, empty, sizeof(empty), &k->fd);
    if (r)
        return r;
    k->sequence = 0;
    audit_key_set(k, c, &none);
    audit_key_prepare(k, 0);
    r = audit_key_save(k);
    if (r == 0)
        r = audit_key_save(k);
    if (r)
        return r;
    if (fsync(k->fd) < 0 ||
        renameat(k->dir_fd, NEW_STATE_FILE, k->dir_fd, CHAIN_STATE_FILE) < 0)
        return -errno;
    return fsync(k->dir_fd) < 0 ? -errno : 0;
}

int audit_key_begin(struct audit_key *k)
{
    struct chain c = { .line = 1 };
    CLEANUP_WIPE(wipe, c);
    CLEANUP_FD int fd = -1;
    int r;

    randombytes_buf(c.key, sizeof(c.key));
    r = keep_old_first_key(k);
    if (r == 0)
        r = write_file(k->dir_fd, AUDIT_FIRST_KEY_FILE, c.key, sizeof(c.key),
                       &fd);
    return r ? r : begin_state(k, &c);
}

void audit_key_prepare(struct audit_key *k, uint64_t offset)
{
    struct chain_state s = { .offset = offset };
    CLEANUP_WIPE(wipe, s);

    audit_key_get(k, &s.chain);
    memcpy(s.mac, k->head.mac, sizeof(s.mac));
    memcpy(k->pending->data, &s, sizeof(s));
}

uint64_t audit_key_prepared(const struct audit_key *k)
{
    struct chain_state s;
    CLEANUP_WIPE(wipe, s);

    memcpy(&s, k->pending->data, sizeof(s));
    return s.chain.line;
}

int audit_key_save(struct audit_key *k)
{
    struct chain_state s;
    CLEANUP_WIPE(wipe, s);
    int r;

    memcpy(&s, k->pending->data, sizeof(s));
    s.sequence = k->sequence + 1;
    r = chain_state_write(k->fd, &s);
    if (r)
        return r;
    k->sequence = s.sequence;
    k->twice = k->saved == s.chain.line;
    k->saved = s.chain.line;
    return 0;
}

bool audit_key_first_waiting(const struct audit_key *k)
{
    return faccessat(k->dir_fd, AUDIT_FIRST_KEY_FILE, F_OK,
                     AT_SYMLINK_NOFOLLOW) == 0;
}

int audit_key_take_first(struct audit_key *k, uint8_t ret[static CHAIN_KEY_LEN])
{
    static const uint8_t zero[CHAIN_KEY_LEN];
    uint8_t key[CHAIN_KEY_LEN];
    CLEANUP_WIPE(wipe, key);
    CLEANUP_FD int fd = -1;
    ssize_t n;

    fd = openat(k->dir_fd, AUDIT_FIRST_KEY_FILE,
                O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    n = pread(fd, key, sizeof(key), 0);
    if (n != (ssize_t)sizeof(key))
        return n < 0 ? -errno : -EBADMSG;
    /* Best effort against what is left on the disk; the name must go. */
    if (pwrite(fd, zero, sizeof(zero), 0) == (ssize_t)sizeof(zero))
        (void)fdatasync(fd);
    if (unlinkat(k->dir_fd, AUDIT_FIRST_KEY_FILE, 0) < 0)
        return -errno;
    (void)fsync(k->dir_fd);
    memcpy(ret, key, sizeof(key));
    return 0;
}
