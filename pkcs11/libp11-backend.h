/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>

#include <libp11.h>

#include "pkcs11/open-keys.h"

/* What the parts of the libp11 backend share; nobody else includes this. Not
 * named libp11.h, which is the library's own header. */

struct backend {
    const struct settings_token *settings;
    PKCS11_CTX *ctx;
    bool loaded;
    PKCS11_SLOT *slots;
    unsigned n_slots;
    PKCS11_SLOT *slot; /* ours, of those */
    bool session_open;
    bool logged_in;
    pthread_mutex_t lock; /* every call but signing */
};

/* libp11.c */
enum token_result libp11_fail(const char *what, struct backend_error *reterr);

/* libp11-key.c */
enum token_result libp11_list(struct backend_session *s, const char *prefix,
                              uint32_t skip,
                              struct token_key ret_keys[static TOKEN_LIST_MAX],
                              size_t *ret_n, struct backend_error *reterr);
enum token_result libp11_find(struct backend_session *s, const char *label,
                              struct backend_key *ret,
                              struct backend_error *reterr);
enum token_result libp11_sign(struct backend_session *s,
                              const struct backend_key *key, struct bytes input,
                              uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                              size_t *ret_len, struct backend_error *reterr);
