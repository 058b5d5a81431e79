/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "pkcs11/seal.h"

/*
 * The directory of a sealed store:
 *
 *     store.header      the key slots (seal.h)
 *     <label>.key       one for each key; octets other than A-Z a-z 0-9 : . _ -
 *                       and a dot in front are %XX
 *     .new              a file being written, or left by a crash
 *
 * Writers hold a lock on the directory. A file is written as .new, synced,
 * renamed, and the directory synced: a crash leaves the old state or the new
 * one. Readers need no lock. Other files in the directory are not touched.
 */

struct sealed_store;

/* Outcomes beside those of seal.h; *reterr names the file. */
#define SEALED_E_NO_STORE 11  /* no header there */
#define SEALED_E_EXISTS 12    /* a store, or a key of that label */
#define SEALED_E_NO_KEY 13    /* no key of that label */
#define SEALED_E_UNTRUSTED 14 /* others can write there */
#define SEALED_E_LABEL 15     /* the label makes no file name */
#define SEALED_E_FULL 16      /* no space left */

/* To see that a key file is still the one that was read. */
struct sealed_stamp {
    dev_t dev;
    ino_t ino;
    struct timespec changed;
};

/* The secrets of a store's slots; either may be NULL, not both. */
struct sealed_secrets {
    const struct secret *credential;
    const struct secret *passphrase;
    struct seal_limits limits; /* Argon2id's, for the passphrase */
};

/**
 * sealed_store_create() - a new, empty store
 * @dir: made, with those above it, if missing; must hold neither header nor
 * keys
 *
 * Run as root, it gives everything to the owner of @dir, or of the nearest
 * directory above that was there before.
 *
 * Return: 0; SEALED_E_EXISTS, SEALED_E_UNTRUSTED, SEAL_E_WEAK, negative errno,
 * all with *reterr.
 */
int sealed_store_create(const char *dir, const struct sealed_secrets *secrets,
                        struct errmsg *reterr) MUST_CHECK;

/* sealed_store_open() - reads the header; keys stay closed.
 * Return: 0; SEALED_E_NO_STORE, SEALED_E_UNTRUSTED, SEAL_E_DAMAGED,
 * SEAL_E_VERSION, negative errno, all with *reterr. */
int sealed_store_open(const char *dir, struct sealed_store **ret,
                      struct errmsg *reterr) MUST_CHECK;

/**
 * sealed_store_unlock() - try @secret on the slots, the cheap ones first
 * @kind: on slots of this kind only; SEAL_KIND_UNSET: on all
 *
 * Return: 0; SEAL_E_WRONG, SEAL_E_DAMAGED, negative errno, with *reterr.
 */
int sealed_store_unlock(struct sealed_store *s, enum seal_kind kind,
                        const struct secret *secret,
                        struct errmsg *reterr) MUST_CHECK;
bool sealed_store_is_unlocked(const struct sealed_store *s);

/* sealed_store_has_slot() - is there a slot of that kind? */
bool sealed_store_has_slot(const struct sealed_store *s, enum seal_kind kind);

/* sealed_store_id() - 32 hex digits and a NUL. */
void sealed_store_id(const struct sealed_store *s,
                     char ret[static 2 * SEAL_ID_LEN + 1]);

/* sealed_store_reseal() - one new slot for @credential in place of all
 * credential slots; the store is unlocked. */
int sealed_store_reseal(struct sealed_store *s, const struct secret *credential,
                        struct errmsg *reterr) MUST_CHECK;

/* Keys; the store is unlocked. */
int sealed_store_add(struct sealed_store *s, const struct seal_key *key,
                     const struct secret *pkcs8,
                     struct errmsg *reterr) MUST_CHECK;
int sealed_store_read(const struct sealed_store *s, const char *label,
                      struct seal_key *ret, struct secret **ret_pkcs8,
                      struct sealed_stamp *ret_stamp,
                      struct errmsg *reterr) MUST_CHECK;
int sealed_store_remove(struct sealed_store *s, const char *label,
                        struct errmsg *reterr) MUST_CHECK;

/* sealed_store_is_current() - is the file of @label still the one read then? */
bool sealed_store_is_current(const struct sealed_store *s, const char *label,
                             const struct sealed_stamp *stamp);

/**
 * sealed_store_each() - calls @fn for each label, sorted by file name, until it
 * returns nonzero; returns that, or negative errno. Needs no unlocking.
 */
typedef int (*sealed_label_fn)(const char *label, void *userdata);
int sealed_store_each(const struct sealed_store *s, sealed_label_fn fn,
                      void *userdata) MUST_CHECK;

struct sealed_store *sealed_store_free(struct sealed_store *s);
DEFINE_CLEANUP(struct sealed_store *, sealed_store_free)
#define CLEANUP_SEALED_STORE CLEANUP(sealed_store_free_p)
