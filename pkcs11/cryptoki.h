/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include <openssl/evp.h>

#include "pkcs11/backend.h"

/* What the parts of the cryptoki backend share; nobody else includes this. */

#define CRYPTOKI_SESSIONS_MAX 68 /* Sessions=, the anchor, generate */
#define CRYPTOKI_SLOTS_MAX 256

struct backend {
    const struct settings_token *settings;
    void *library;
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_INFO info;
    CK_TOKEN_INFO token; /* as open() saw it: which token is ours */
    /* Most tokens want CKM_RSA_PKCS with our DigestInfo; the few that have only
     * CKM_SHA256_RSA_PKCS get the message. */
    bool rsa_hashes;
    /* tpm2-pkcs11: every key that was used stays loaded until C_Logout, and a
     * TPM has room for a few; a process sees no key that another made; and
     * once it has destroyed one, it gives handles that are in use. */
    bool tpm2;
    _Atomic bool stale; /* of use no more, because of that */
    /* As struct token_status has it, when the last key was made. Status is
     * asked without the watchdog, so it asks no module. */
    _Atomic uint32_t free_plus_one;
    EVP_MD *sha256, *sha384;

    pthread_rwlock_t objects; /* cryptoki-turn.c */

    /* C_OpenSession, C_CloseSession, C_Login: modules race here (tpm2-pkcs11
     * gave one handle to two threads). Guards what follows, too. */
    pthread_mutex_t lock;
    CK_SESSION_HANDLE anchor; /* open for ever: with the last session, the
                                 login would go */
    CK_SESSION_HANDLE open[CRYPTOKI_SESSIONS_MAX];
    size_t n_open;
};

struct backend_session {
    struct backend *b;
    CK_SESSION_HANDLE handle; /* CK_INVALID_HANDLE: lost */
    EVP_MD_CTX *digest;
    bool begun;      /* C_SignInit was called ahead */
    bool has_loaded; /* a key, perhaps, since it was reset */
};

/* An attribute's value, read into fixed space; len 0 when it is not there. */
#define CRYPTOKI_VALUE_MAX 1024
struct cryptoki_value {
    CK_BYTE data[CRYPTOKI_VALUE_MAX];
    CK_ULONG len;
};

/* cryptoki.c. cryptoki_load() is open() without a token; cryptoki_match() looks
 * for Token=, and sets slot and token to the last that matches. */
enum token_result cryptoki_load(const struct settings_token *settings,
                                struct backend **ret, P11KitUri **ret_uri,
                                struct backend_error *reterr);
CK_RV cryptoki_slots(const struct backend *b,
                     CK_SLOT_ID ret[static CRYPTOKI_SLOTS_MAX],
                     CK_ULONG *ret_n) MUST_CHECK;
enum token_result cryptoki_match(struct backend *b, P11KitUri *uri,
                                 unsigned *ret_matches,
                                 struct backend_error *reterr);
bool cryptoki_token_present(const struct backend *b);
void cryptoki_see_room(struct backend *b, const CK_TOKEN_INFO *info);
void cryptoki_close(struct backend *b);

/* cryptoki-init.c */
enum token_result cryptoki_find_blank(struct backend *b, P11KitUri *uri,
                                      struct backend_error *reterr);
enum token_result cryptoki_check_pin_lengths(const struct backend *b,
                                             const struct secret *so_pin,
                                             const struct secret *pin,
                                             struct backend_error *reterr);
enum token_result cryptoki_init_token(struct backend *b, P11KitUri *uri,
                                      const struct secret *so_pin,
                                      struct backend_error *reterr);
enum token_result cryptoki_init_pin(struct backend *b,
                                    const struct secret *so_pin,
                                    const struct secret *pin,
                                    struct backend_error *reterr);

/* cryptoki-session.c; OpenSession and CloseSession call for b->lock held */
CK_RV cryptoki_open_session(struct backend *b, CK_FLAGS flags,
                            CK_SESSION_HANDLE *ret) MUST_CHECK;
void cryptoki_close_session(struct backend *b, CK_SESSION_HANDLE handle);
bool cryptoki_session_public(const struct backend *b, CK_SESSION_HANDLE handle);
enum token_result cryptoki_trouble(const struct backend_session *s, CK_RV rv,
                                   const char *what,
                                   struct backend_error *reterr);
enum token_result cryptoki_session_new(struct backend *b,
                                       struct backend_session **ret,
                                       struct backend_error *reterr);
enum token_result cryptoki_session_reset(struct backend_session *s,
                                         struct backend_error *reterr);
void cryptoki_session_free(struct backend_session *s);
bool cryptoki_room_is_short(const struct backend *b);
bool cryptoki_is_alone(const struct backend *b);
bool cryptoki_is_stale(const struct backend *b);
void cryptoki_has_destroyed(struct backend *b);

/* cryptoki-turn.c: CLEANUP(cryptoki_turn_end) */
struct cryptoki_turn {
    pthread_rwlock_t *held; /* NULL: it took too long to wait for */
};
struct cryptoki_turn cryptoki_turn_look(struct backend *b) MUST_CHECK;
struct cryptoki_turn cryptoki_turn_change(struct backend *b) MUST_CHECK;
void cryptoki_turn_end(struct cryptoki_turn *turn);

/* cryptoki-login.c */
enum token_result cryptoki_login(struct backend *b, const struct secret *pin,
                                 unsigned flags, struct backend_error *reterr);

/* cryptoki-object.c */
CK_RV cryptoki_search(const struct backend *b, CK_SESSION_HANDLE session,
                      CK_ATTRIBUTE *template, CK_ULONG n_template,
                      CK_OBJECT_HANDLE *ret, CK_ULONG max,
                      CK_ULONG *ret_n) MUST_CHECK;
CK_RV cryptoki_read(const struct backend *b, CK_SESSION_HANDLE session,
                    CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                    struct cryptoki_value *ret) MUST_CHECK;
CK_RV cryptoki_read_ulong(const struct backend *b, CK_SESSION_HANDLE session,
                          CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                          CK_ULONG *ret) MUST_CHECK;
CK_RV cryptoki_read_bool(const struct backend *b, CK_SESSION_HANDLE session,
                         CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                         int *ret) MUST_CHECK;
bool cryptoki_readable(const struct backend *b, CK_SESSION_HANDLE session,
                       CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

/* cryptoki-attrs.c */
CK_RV cryptoki_read_key(const struct backend_session *s,
                        CK_OBJECT_HANDLE object, struct token_key *ret,
                        const char **ret_unfit) MUST_CHECK;

/* cryptoki-key.c */
enum token_result cryptoki_list(struct backend_session *s, const char *prefix,
                                uint32_t skip,
                                struct token_key ret[static TOKEN_LIST_MAX],
                                size_t *ret_n, struct backend_error *reterr);
enum token_result cryptoki_find(struct backend_session *s, const char *label,
                                struct backend_key *ret,
                                struct backend_error *reterr);
enum token_result cryptoki_find_uri(struct backend_session *s, const char *uri,
                                    struct backend_key *ret,
                                    struct backend_error *reterr);
enum token_result cryptoki_destroy(struct backend_session *s,
                                   const struct backend_key *key,
                                   struct backend_error *reterr);

/* cryptoki-generate.c */
enum token_result cryptoki_generate(struct backend_session *s,
                                    const char *label, enum token_alg alg,
                                    unsigned rsa_bits, struct backend_key *ret,
                                    struct backend_error *reterr);

/* cryptoki-sign.c */
enum token_result cryptoki_begin(struct backend_session *s,
                                 const struct backend_key *key,
                                 struct backend_error *reterr);
enum token_result cryptoki_sign(struct backend_session *s,
                                const struct backend_key *key,
                                struct bytes input,
                                uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                                size_t *ret_len, struct backend_error *reterr);
