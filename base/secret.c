/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * sodium_malloc() locks its pages but does not say when that failed, so a
 * secret could be swapped out unnoticed. secrets_init() therefore locks a page
 * and reads "Locked:" back from the kernel, and each secret is locked again by
 * us, with the answer looked at.
 */
#include "base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <sodium.h>

/* Set once by secrets_init(), before any thread or secret exists. */
static bool allow_unlocked;

/* Not mlock(3): AddressSanitizer makes it do nothing, and say that it did. */
static int lock_pages(const void *p, size_t len)
{
    return (int)syscall(SYS_mlock, p, len);
}

static size_t locked_kib(void)
{
    size_t kib = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");

    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "VmLck: %zu kB", &kib) == 1)
            break;
    }
    (void)fclose(f);
    return kib;
}

static bool pages_can_be_locked(void)
{
    size_t before = locked_kib();
    uint8_t *probe = sodium_malloc(64);
    bool locked;

    if (!probe)
        return false;
    locked = lock_pages(probe, 64) == 0 && locked_kib() > before;
    sodium_free(probe);
    return locked;
}

int secrets_init(bool allow_swappable, struct errmsg *reterr)
{
    struct rlimit limit = { 0 };

    if (sodium_init() < 0) {
        errmsg_set(reterr, "libsodium cannot be initialised");
        return -EIO;
    }
    allow_unlocked = allow_swappable;
    if (allow_swappable || pages_can_be_locked())
        return 0;

    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    errmsg_set(reterr,
               "memory for secrets cannot be locked (RLIMIT_MEMLOCK is %llu "
               "bytes): raise LimitMEMLOCK=, or accept secrets in swap with "
               "AllowSwappableSecrets=yes",
               (unsigned long long)limit.rlim_cur);
    return SECRET_E_NOT_LOCKABLE;
}

bool secrets_must_be_locked(void)
{
    return !allow_unlocked;
}

int secret_new(size_t len, struct secret **ret)
{
    CLEANUP_SECRET struct secret *s = NULL;

    if (len > SECRET_MAX)
        return -E2BIG;
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->data = sodium_malloc(len ? len : 1);
    if (!s->data)
        return -ENOMEM;
    s->len = len;
    if (lock_pages(s->data, len ? len : 1) < 0 && !allow_unlocked)
        return -ENOLCK;
    *ret = TAKE_PTR(s);
    return 0;
}

int secret_new_copy(struct bytes from, struct secret **ret)
{
    struct secret *s = NULL;
    int r;

    r = secret_new(from.len, &s);
    if (r)
        return r;
    if (from.len > 0)
        memcpy(s->data, from.data, from.len);
    *ret = s;
    return 0;
}

int secret_new_read(int fd, bool strip_newline, struct secret **ret)
{
    CLEANUP_SECRET struct secret *all = NULL;
    size_t n = 0;
    int r;

    /* Read straight into locked memory: no stdio buffer keeps a copy. */
    r = secret_new(SECRET_MAX, &all);
    if (r)
        return r;
    for (;;) {
        uint8_t extra;
        ssize_t k = n < SECRET_MAX ? read(fd, all->data + n, SECRET_MAX - n)
                                   : read(fd, &extra, 1);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        if (k == 0)
            break;
        if (n == SECRET_MAX)
            return -E2BIG;
        n += (size_t)k;
    }
    if (strip_newline && n > 0 && all->data[n - 1] == '\n')
        n--;
    if (n == 0)
        return -ENODATA;
    return secret_new_copy((struct bytes){ all->data, n }, ret);
}

struct secret *secret_free(struct secret *s)
{
    if (!s)
        return NULL;
    sodium_free(s->data); /* wipes and unlocks */
    free(s);
    return NULL;
}

void secret_free_p(struct secret **s)
{
    (void)secret_free(*s);
}

void wiped_span_deinit(struct wiped_span *w)
{
    sodium_memzero(w->data, w->len);
}
