/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>

#include "pkcs11/backend.h"

/*
 * The keys that one session has found, by label. Handles are forgotten after
 * any trouble with the session, and when any session of any process made or
 * destroyed a key: a module may give a dead key's handle to another.
 */

#define KEYCACHE_SLOTS 256

struct keycache_entry {
    struct backend_key key;
    EVP_PKEY *pub;
    size_t sig_len;
    bool proven; /* a signature by it has been verified */
};

struct keycache {
    struct keycache_entry *slots[KEYCACHE_SLOTS];
    uint32_t epoch;
};

/* keycache_get() - NULL if it has to be found (again). @epoch: the number of
 * changes on the token so far. */
struct keycache_entry *keycache_get(struct keycache *c, const char *label,
                                    uint32_t epoch);

/* keycache_put() - what keycache_get() will return; KEY_UNFIT if its public key
 * is none that we sign with. */
enum token_result keycache_put(struct keycache *c,
                               const struct backend_key *key,
                               struct keycache_entry **ret,
                               struct backend_error *reterr);

void keycache_clear(struct keycache *c);
