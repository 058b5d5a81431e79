/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11/open-keys.h"

/* What the parts of the sealed backend share; nobody else includes this. */

/* As a token. Its label is the name of the [Token], its serial number the first
 * half of the store's id. */
#define SEALED_MANUFACTURER "acme-guardian"
#define SEALED_MODEL "sealed software"
#define SEALED_SERIAL_LEN 16

struct backend {
    const struct settings_token *settings;
    char serial[SEALED_SERIAL_LEN + 1];
    pthread_mutex_t lock; /* of login() */
    /* Unlocked, and then never changed; NULL before. */
    _Atomic(struct sealed_store *) store;
};

/* sealed.c */
enum token_result sealed_fail(int r, const struct errmsg *e,
                              struct backend_error *reterr);
enum token_result sealed_store_of(const struct backend_session *s,
                                  struct sealed_store **ret,
                                  struct backend_error *reterr);

/* sealed-key.c */
struct token_key sealed_describe(const struct seal_key *key);
enum token_result sealed_find(struct backend_session *s, const char *label,
                              struct backend_key *ret,
                              struct backend_error *reterr);
enum token_result sealed_sign(struct backend_session *s,
                              const struct backend_key *key, struct bytes input,
                              uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                              size_t *ret_len, struct backend_error *reterr);
enum token_result sealed_generate(struct backend_session *s, const char *label,
                                  enum token_alg alg, unsigned rsa_bits,
                                  struct backend_key *ret,
                                  struct backend_error *reterr);
enum token_result sealed_destroy(struct backend_session *s,
                                 const struct backend_key *key,
                                 struct backend_error *reterr);

/* sealed-search.c */
enum token_result sealed_list(struct backend_session *s, const char *prefix,
                              uint32_t skip,
                              struct token_key ret_keys[static TOKEN_LIST_MAX],
                              size_t *ret_n, struct backend_error *reterr);
enum token_result sealed_find_uri(struct backend_session *s, const char *text,
                                  struct backend_key *ret,
                                  struct backend_error *reterr);
