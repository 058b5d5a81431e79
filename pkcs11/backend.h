/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"
#include "base/secret.h"
#include "base/settings.h"
#include "ipc/token-proto.h"

/*
 * What can hold keys: one struct of functions, three implementations
 * (cryptoki.c, libp11.c, sealed.c). Everything that is the same for all of them
 * stays outside: the wire (answer.c), reading the PIN and not sending a wrong
 * one twice (pin.c), the error ladder (ladder.c), the cache of keys, signature
 * lengths and verification (keycache.c, signature.c), timeouts and processes
 * (worker.c, supervise.c).
 *
 * Order of calls in one worker process:
 *
 *   open, login, then for each thread session_new, work on that session,
 *   (session_free, close: only in tests; a helper ends with _exit)
 *
 * Threads: a struct backend_session is used by one thread at a time. Calls on
 * different sessions, and login() and status(), may run at the same time: a
 * backend locks what its sessions share. open() runs alone.
 *
 * Ownership: settings and everything else passed in is borrowed; settings live
 * as long as the backend. The PIN is borrowed for the time of the call and must
 * not be kept.
 *
 * Results: each function returns TOKEN_S_OK, or what goes on the wire with
 * *reterr filled in (backend_fail()), ret_ outputs untouched.
 */

struct backend;         /* one in a process; defined by each backend */
struct backend_session; /* one for each thread; defined by each backend */

/*
 * What may cure a failure. Codes do not identify a fault (the same loss is
 * 0x82, 0x05, 0x30 or 0xE0 by module), so this is a hint where the ladder
 * starts, never a promise.
 */
enum backend_cure {
    BACKEND_CURE_NONE = 0, /* a definite answer: trying again changes nothing */
    BACKEND_CURE_SESSION,  /* session_reset(), find the key again, once */
    BACKEND_CURE_LOGIN,    /* the session says public: one login() */
    BACKEND_CURE_RESTART,  /* only a new process helps */
};

struct backend_error {
    enum token_result result;
    enum backend_cure cure;
    unsigned long ckr; /* the CK_RV, or 0 */
    char text[TOKEN_TEXT_MAX];
};

/* A key as a backend found it: what the wire carries, and its own name for it.
 */
struct backend_key {
    struct token_key key;
    /* Opaque to the caller. Valid for the session that it was found with until
     * session_reset(), destroy() or an error; then the key is found again. */
    uint64_t handle;
};

/* login() flags */
#define BACKEND_LOGIN_CHANGED                                                  \
    (1u << 0) /* another PIN than those known to have failed */
#define BACKEND_LOGIN_CONFIRMED                                                \
    (1u << 1) /* an operator confirmed this try (TOKEN_OP_UNLOCK) */

struct backend_ops {
    enum settings_backend kind;

    /* Load the module or open the store, and find the token.
     * TOKEN_S_NO_TOKEN when either is not there. */
    enum token_result (*open)(const struct settings_token *settings,
                              struct backend **ret,
                              struct backend_error *reterr);

    /* Log in, or unlock the store. Already logged in is OK. @pin is NULL with
     * Pin=none. PIN_WRONG only if the PIN was really sent and refused;
     * PIN_LOCKED if the token says so, or a flag says that this is the last try
     * and flags lack BACKEND_LOGIN_CONFIRMED. */
    enum token_result (*login)(struct backend *b, const struct secret *pin,
                               unsigned flags, struct backend_error *reterr);

    /* token_label, manufacturer, model, serial, library: the rest of
     * *ret is the caller's. Must not block on a token that hangs: from what
     * open() read. */
    void (*status)(const struct backend *b, struct token_status *ret);

    enum token_result (*session_new)(struct backend *b,
                                     struct backend_session **ret,
                                     struct backend_error *reterr);
    /* Drop whatever state this session has with the token and begin anew. */
    enum token_result (*session_reset)(struct backend_session *s,
                                       struct backend_error *reterr);
    void (*session_free)(struct backend_session *s);
    /* NULL: no. Does a key that was used take room in the token until
     * session_reset(), and for ever when it is destroyed before? Making one is
     * not tried twice, so it comes before. */
    bool (*room_is_short)(const struct backend *b);
    /* NULL: no. Does this process go on without the keys that another makes or
     * destroys, so that there may be only one? */
    bool (*is_alone)(const struct backend *b);
    /* NULL: no. After what was done last, is only a new process of use? */
    bool (*is_stale)(const struct backend *b);

    /* Signing keys whose label starts with @prefix, from the @skip-th on, in an
     * order that stays the same while no key changes. Keys that cannot be used
     * are listed too, with the attributes they have. */
    enum token_result (*list)(struct backend_session *s, const char *prefix,
                              uint32_t skip,
                              struct token_key ret_keys[static TOKEN_LIST_MAX],
                              size_t *ret_n, struct backend_error *reterr);

    /* Exactly this label. NO_KEY, AMBIGUOUS; KEY_UNFIT if it has no readable
     * public key or a type that we do not sign with. Attributes are reported,
     * and judged by the caller (key_unfit()). */
    enum token_result (*find)(struct backend_session *s, const char *label,
                              struct backend_key *ret,
                              struct backend_error *reterr);

    /* RFC 7512 path attributes (id, object, type) name exactly one key. */
    enum token_result (*find_uri)(struct backend_session *s, const char *uri,
                                  struct backend_key *ret,
                                  struct backend_error *reterr);

    /* A new key: on the token, sensitive, not extractable, sign only. The
     * caller has looked that no key has the label; EXISTS if one turns up all
     * the same. @rsa_bits for TOKEN_ALG_RS256. */
    enum token_result (*generate)(struct backend_session *s, const char *label,
                                  enum token_alg alg, unsigned rsa_bits,
                                  struct backend_key *ret,
                                  struct backend_error *reterr);

    /* Sign @input, the whole message, hashing it as @key->key.alg says. The JWS
     * form: r||s for ECDSA (signature_from_der()). Length and content are
     * checked by the caller. */
    enum token_result (*sign)(struct backend_session *s,
                              const struct backend_key *key, struct bytes input,
                              uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                              size_t *ret_len, struct backend_error *reterr);

    /* Begin the next signature: the next call on this session is sign() by the
     * same key, or session_reset(). NULL: there is nothing to gain. */
    enum token_result (*begin)(struct backend_session *s,
                               const struct backend_key *key,
                               struct backend_error *reterr);

    /* Private and public half. */
    enum token_result (*destroy)(struct backend_session *s,
                                 const struct backend_key *key,
                                 struct backend_error *reterr);

    void (*close)(struct backend *b);
};

extern const struct backend_ops cryptoki_backend;
extern const struct backend_ops libp11_backend;
extern const struct backend_ops sealed_backend;

/* backend_ops_get() - the backend of that kind; NULL if there is none. */
const struct backend_ops *backend_ops_get(enum settings_backend kind);

/**
 * backend_fail() - fill in a failure
 * @err: may be NULL
 * @fmt: for people, never a secret; the CK_RV's name is appended when @ckr is
 *       not 0
 *
 * Return: @result.
 */
enum token_result backend_fail(struct backend_error *err,
                               enum token_result result, enum backend_cure cure,
                               unsigned long ckr, const char *fmt, ...)
    PRINTF(5, 6);

/* refuse_token() - the same for a rule of ours: no cure, no CK_RV. Written
 * `return refuse_token(...)` behind the condition that is the rule. */
enum token_result refuse_token(struct backend_error *err,
                               enum token_result result, const char *fmt, ...)
    PRINTF(3, 4) MUST_CHECK;
