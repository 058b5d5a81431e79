/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11/backend.h"
#include "pkcs11/evp-signer.h"
#include "pkcs11/sealed-store.h"

/* What the parts of the sealed backend share; nobody else includes this. */

/* Keys that a session keeps open; the one used longest ago makes room. */
#define SEALED_OPEN_KEYS_MAX 32

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

struct open_key {
    struct backend_key key; /* its handle is not used: the label is enough */
    struct sealed_stamp stamp;
    struct evp_signer *signer; /* NULL: this place is free */
    uint64_t used;
};

struct backend_session {
    struct backend *b;
    uint64_t clock;
    struct open_key keys[SEALED_OPEN_KEYS_MAX];
};

/* sealed.c */
enum token_result sealed_fail(int r, const struct errmsg *e,
                              struct backend_error *reterr);
enum token_result sealed_store_of(const struct backend_session *s,
                                  struct sealed_store **ret,
                                  struct backend_error *reterr);

/* sealed-key.c */
struct token_key sealed_describe(const struct seal_key *key);
enum token_result sealed_session_new(struct backend *b,
                                     struct backend_session **ret,
                                     struct backend_error *reterr);
enum token_result sealed_session_reset(struct backend_session *s,
                                       struct backend_error *reterr);
void sealed_session_free(struct backend_session *s);
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
