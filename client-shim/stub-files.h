/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/owner-files.h"
#include "client-shim/stub.h"

/*
 * Where stubs lie: in their clients' directories, and, so that they are
 * refreshed when the key has changed, in the list of their account, which is
 * CONFIG/stubs.d/ACCOUNT.stubs:
 *
 *   [Stub]
 *   Path=/var/lib/dehydrated/accounts/aHR0.../account_key.pem
 */

#define STUB_FILE_MODE 0644 /* nothing in it is secret */

enum stub_place {
    STUB_PLACE_UNSET = 0,
    STUB_PLACE_NONE,    /* no file */
    STUB_PLACE_STUB,    /* *ret is what it says */
    STUB_PLACE_DAMAGED, /* a stub that cannot be read */
    STUB_PLACE_OTHER,   /* something else: a key */
};

/**
 * stub_file_read() - what lies at a stub's place
 *
 * Return: 0; OWNER_E_*, negative errno, with *reterr.
 */
int stub_file_read(struct owner_files *o, const char *path,
                   enum stub_place *ret_place, struct stub *ret,
                   struct owner_stamp *ret_stamp,
                   struct errmsg *reterr) MUST_CHECK;

/* stub_file_write() - in the place of what @was says. Return: as
 * stub_file_read(), and STUB_E_INVALID. */
int stub_file_write(struct owner_files *o, const char *path,
                    const struct stub *stub, const struct owner_stamp *was,
                    mode_t mode, struct errmsg *reterr) MUST_CHECK;

/* stub_list_add() - what is there already stays as it is. Return: 0;
 * CONFIG_E_INVALID, OWNER_E_*, negative errno, with *reterr. */
int stub_list_add(const char *config_dir, const char *account, const char *path,
                  struct errmsg *reterr) MUST_CHECK;

/* stub_list_fn - a path; or, with @path NULL, that a list cannot be used, which
 * keeps none of the others' from being read: @bad says why. */
typedef int (*stub_list_fn)(const char *account, const char *path,
                            const struct errmsg *bad, void *userdata);
/* stub_list_each() - of one account, or (NULL) of all. @fn's nonzero ends it
 * and is returned; otherwise as stub_list_add(). */
int stub_list_each(const char *config_dir, const char *account, stub_list_fn fn,
                   void *userdata, struct errmsg *reterr) MUST_CHECK;
