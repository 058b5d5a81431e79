/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/errmsg.h"

/**
 * struct secret - a PIN or symmetric key: guarded, locked, wiped on free
 *
 * Few and long-lived: each costs several pages. Bytes only (the memory is not
 * aligned). Never copied into JSON, errmsg, log, argv or environment.
 */
struct secret {
    uint8_t *data;
    size_t len;
};

#define SECRET_MAX 4096
#define CLEANUP_SECRET CLEANUP(secret_free_p)

/**
 * secrets_init() - libsodium, and proof that pages can really be locked
 * @allow_swappable: AllowSwappableSecrets=yes, go on without locked pages
 *
 * Locks a page and reads back from the kernel that it is locked, since
 * sodium_malloc() goes on silently when mlock() fails (RLIMIT_MEMLOCK 0).
 *
 * Return: 0; SECRET_E_NOT_LOCKABLE with *reterr; negative errno.
 */
int secrets_init(bool allow_swappable, struct errmsg *reterr) MUST_CHECK;
#define SECRET_E_NOT_LOCKABLE 1

/* secrets_must_be_locked() - for memory that is not a struct secret. */
bool secrets_must_be_locked(void);

/* Return: 0; -ENOMEM; -E2BIG above SECRET_MAX; -ENOLCK if not lockable. */
int secret_new(size_t len, struct secret **ret) MUST_CHECK;
int secret_new_copy(struct bytes from, struct secret **ret) MUST_CHECK;

/**
 * secret_new_read() - read a whole file or pipe into a secret
 * @strip_newline: one trailing newline is not part of the secret
 *
 * Return: 0; -ENODATA if empty; -E2BIG above SECRET_MAX; negative errno.
 */
int secret_new_read(int fd, bool strip_newline, struct secret **ret) MUST_CHECK;

/* secret_free() - wipes; accepts NULL. Return: NULL. */
struct secret *secret_free(struct secret *s);
void secret_free_p(struct secret **s);

/* CLEANUP helper for short copies on the stack: wiped when left. */
struct wiped_span {
    void *data;
    size_t len;
};
void wiped_span_deinit(struct wiped_span *w);
#define CLEANUP_WIPE(name, object)                                             \
    CLEANUP(wiped_span_deinit)                                                 \
    __attribute__((unused)) struct wiped_span name = { &(object),              \
                                                       sizeof(object) }
