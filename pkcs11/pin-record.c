/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A try whose outcome is unknown (the process was killed in the middle) may be
 * made once more: a daemon that is restarted while a slow card logs in is not a
 * wrong PIN, and two are below the three that lock a TPM.
 */
#include "pkcs11/pin-record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "pkcs11/sealed-dir.h"

#define RECORD_NAME "pin-failed"
#define RECORD_NEW_NAME ".pin-failed.new"
#define RECORD_MAGIC "agpinf01"
#define RECORD_ENTRIES 16
#define UNANSWERED_MAX 2

enum entry_state {
    ENTRY_FREE = 0,
    ENTRY_FAILED,
    ENTRY_OLD,     /* failed; a good login came after */
    ENTRY_PENDING, /* sent, no answer yet */
};

struct entry {
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    uint32_t state;
    uint32_t tries; /* while pending */
};

struct record {
    char magic[8];
    uint8_t key[crypto_auth_hmacsha256_KEYBYTES];
    struct entry entries[RECORD_ENTRIES];
};

static int fail(struct errmsg *reterr, int r)
{
    errmsg_set(reterr, "the record of failed PINs: %s", strerror(-r));
    return r;
}

int pin_record_open(const char *directory, int *ret_dir_fd,
                    struct errmsg *reterr)
{
    struct sealed_dir d = { .fd = -1 };
    int r = sealed_dir_make(directory, reterr);

    if (r == 0)
        r = sealed_dir_open(directory, &d, reterr);
    if (r == 0)
        r = sealed_dir_lock(&d, ret_dir_fd, reterr);
    sealed_dir_deinit(&d);
    return r;
}

static void start(struct record *ret)
{
    *ret = (struct record){ 0 };
    memcpy(ret->magic, RECORD_MAGIC, sizeof(ret->magic));
    randombytes_buf(ret->key, sizeof(ret->key));
}

static int load(int dir_fd, struct record *ret)
{
    CLEANUP_FD int fd =
        openat(dir_fd, RECORD_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n;

    if (fd < 0 && errno == ENOENT) {
        start(ret);
        return 0;
    }
    if (fd < 0)
        return -errno;
    n = read(fd, ret, sizeof(*ret));
    if (n < 0)
        return -errno;
    /* A cut file might have named this very PIN. */
    if ((size_t)n != sizeof(*ret) ||
        memcmp(ret->magic, RECORD_MAGIC, sizeof(ret->magic)) != 0)
        return -EBADMSG;
    return 0;
}

static int save(int dir_fd, const struct record *record)
{
    CLEANUP_FD int fd =
        openat(dir_fd, RECORD_NEW_NAME,
               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    ssize_t n;

    if (fd < 0)
        return -errno;
    n = write(fd, record, sizeof(*record));
    if (n != (ssize_t)sizeof(*record))
        return n < 0 ? -errno : -ENOSPC;
    if (fsync(fd) < 0 ||
        renameat(dir_fd, RECORD_NEW_NAME, dir_fd, RECORD_NAME) < 0 ||
        fsync(dir_fd) < 0)
        return -errno;
    return 0;
}

static bool is_empty(const struct record *record)
{
    for (size_t i = 0; i < RECORD_ENTRIES; i++) {
        if (record->entries[i].state != ENTRY_FREE)
            return false;
    }
    return true;
}

static int save_or_remove(int dir_fd, const struct record *record)
{
    if (!is_empty(record))
        return save(dir_fd, record);
    return unlinkat(dir_fd, RECORD_NAME, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* The entry of @pin, or a free one with its MAC; NULL when all are taken. */
static struct entry *lookup(struct record *record, const struct secret *pin)
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    struct entry *unused = NULL;

    crypto_auth_hmacsha256(mac, pin->data, pin->len, record->key);
    for (size_t i = 0; i < RECORD_ENTRIES; i++) {
        struct entry *e = &record->entries[i];

        if (e->state == ENTRY_FREE)
            unused = unused ? unused : e;
        else if (sodium_memcmp(e->mac, mac, sizeof(mac)) == 0)
            return e;
    }
    if (unused)
        memcpy(unused->mac, mac, sizeof(mac));
    return unused;
}

static bool any_failed(const struct record *record)
{
    for (size_t i = 0; i < RECORD_ENTRIES; i++) {
        if (record->entries[i].state == ENTRY_FAILED)
            return true;
    }
    return false;
}

int pin_record_check(int dir_fd, const struct secret *pin,
                     enum pin_record_state *ret, struct errmsg *reterr)
{
    struct record record = { 0 };
    const struct entry *e;
    int r = load(dir_fd, &record);

    if (r)
        return fail(reterr, r);
    e = lookup(&record, pin);
    if (!e)
        *ret = PIN_RECORD_FULL;
    else if (e->state == ENTRY_FAILED || e->state == ENTRY_OLD ||
             (e->state == ENTRY_PENDING && e->tries >= UNANSWERED_MAX))
        *ret = PIN_RECORD_FAILED;
    else
        *ret = any_failed(&record) ? PIN_RECORD_CHANGED : PIN_RECORD_NEW;
    return 0;
}

int pin_record_begin(int dir_fd, const struct secret *pin,
                     struct errmsg *reterr)
{
    struct record record = { 0 };
    struct entry *e;
    int r = load(dir_fd, &record);

    if (r)
        return fail(reterr, r);
    e = lookup(&record, pin);
    if (!e)
        return fail(reterr, -ENOSPC);
    e->tries = e->state == ENTRY_PENDING ? e->tries + 1 : 1;
    e->state = ENTRY_PENDING;
    r = save(dir_fd, &record);
    return r ? fail(reterr, r) : 0;
}

static void settle(struct record *record, struct entry *e,
                   enum pin_record_outcome outcome)
{
    if (outcome == PIN_RECORD_WRONG) {
        e->state = ENTRY_FAILED;
        return;
    }
    if (outcome == PIN_RECORD_UNANSWERED && e->tries > 1) {
        e->tries--;
        return;
    }
    *e = (struct entry){ 0 };
    if (outcome == PIN_RECORD_UNANSWERED)
        return;
    for (size_t i = 0; i < RECORD_ENTRIES; i++) {
        if (record->entries[i].state == ENTRY_FAILED)
            record->entries[i].state = ENTRY_OLD;
    }
}

int pin_record_end(int dir_fd, const struct secret *pin,
                   enum pin_record_outcome outcome, struct errmsg *reterr)
{
    struct record record = { 0 };
    struct entry *e;
    int r = load(dir_fd, &record);

    if (r)
        return fail(reterr, r);
    e = lookup(&record, pin);
    if (!e || e->state != ENTRY_PENDING)
        return 0;
    settle(&record, e, outcome);
    r = save_or_remove(dir_fd, &record);
    return r ? fail(reterr, r) : 0;
}

int pin_record_unanswered(const char *directory, struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    struct record record = { 0 };
    int r = pin_record_open(directory, &fd, reterr);

    if (r)
        return r;
    r = load(fd, &record);
    for (size_t i = 0; r == 0 && i < RECORD_ENTRIES; i++) {
        if (record.entries[i].state == ENTRY_PENDING)
            settle(&record, &record.entries[i], PIN_RECORD_UNANSWERED);
    }
    if (r == 0)
        r = save_or_remove(fd, &record);
    return r ? fail(reterr, r) : 0;
}

int pin_record_forget(const char *directory, struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    int r = pin_record_open(directory, &fd, reterr);

    if (r)
        return r;
    if (unlinkat(fd, RECORD_NAME, 0) < 0 && errno != ENOENT)
        return fail(reterr, -errno);
    return 0;
}
