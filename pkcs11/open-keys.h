/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/backend.h"
#include "pkcs11/evp-signer.h"
#include "pkcs11/sealed-store.h"

/*
 * The session of a backend that signs through OpenSSL: the keys that it keeps
 * ready, by label. When there is no place left, the one used longest ago goes.
 * For one thread at a time.
 */

#define OPEN_KEYS_MAX 32

struct open_key {
    struct backend_key key;    /* its handle is not used: the label is enough */
    struct sealed_stamp stamp; /* of the sealed backend's file */
    struct evp_signer *signer; /* NULL: this place is free */
    uint64_t used;
};

struct backend_session {
    struct backend *b;
    uint64_t clock;
    struct open_key keys[OPEN_KEYS_MAX];
};

enum token_result open_keys_new(struct backend *b, struct backend_session **ret,
                                struct backend_error *reterr);
enum token_result open_keys_reset(struct backend_session *s,
                                  struct backend_error *reterr);
void open_keys_free(struct backend_session *s);

/* open_keys_get() - NULL if it has to be opened. */
struct open_key *open_keys_get(struct backend_session *s, const char *label);

/* open_keys_put() - takes @signer over; one of that label is replaced. */
struct open_key *open_keys_put(struct backend_session *s,
                               const struct token_key *key,
                               struct evp_signer *signer);

/* open_key_is() - is it the same key, not another of its label? */
bool open_key_is(const struct open_key *k, const struct backend_key *key);

void open_key_forget(struct open_key *k);
