/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The sealed store as a token: what it holds is software, encrypted where it
 * lies, and that is all it ever claims.
 */
#include "pkcs11/sealed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "pkcs11/softkey.h"

/* More than the private numbers of any key that we sign with (RSA 4096: 1.8
 * KiB), and what decoding it takes at its peak. */
#define HEAP_PER_KEY 4096

/* What an outcome of the store means on the wire. */
static enum token_result result_of(int r)
{
    switch (r) {
    case SEALED_E_NO_STORE:
    case SEALED_E_UNTRUSTED:
        return TOKEN_S_NO_TOKEN;
    case SEALED_E_EXISTS:
        return TOKEN_S_EXISTS;
    case SEALED_E_NO_KEY:
    case SEALED_E_LABEL:
        return TOKEN_S_NO_KEY;
    case SEALED_E_FULL:
        return TOKEN_S_FULL;
    case SEAL_E_WRONG:
        return TOKEN_S_PIN_WRONG;
    case SEAL_E_DAMAGED:
    case SEAL_E_VERSION:
        return TOKEN_S_KEY_UNFIT;
    default:
        return TOKEN_S_FAILED;
    }
}

enum token_result sealed_fail(int r, const struct errmsg *e,
                              struct backend_error *reterr)
{
    CLEANUP_BUF struct buf text = { 0 };

    if (e->text[0] == '\0' || errmsg_format(e, &text))
        return backend_fail(reterr, result_of(r), BACKEND_CURE_NONE, 0,
                            "sealed store: %s",
                            r < 0 ? strerror(-r) : "failed");
    return backend_fail(reterr, result_of(r), BACKEND_CURE_NONE, 0, "%s",
                        buf_str(&text));
}

/* A store that cannot be opened is no token, whatever the reason. */
static enum token_result fail_open(int r, const struct errmsg *e,
                                   struct backend_error *reterr)
{
    (void)sealed_fail(r, e, reterr);
    reterr->result = TOKEN_S_NO_TOKEN;
    return TOKEN_S_NO_TOKEN;
}

enum token_result sealed_store_of(const struct backend_session *s,
                                  struct sealed_store **ret,
                                  struct backend_error *reterr)
{
    struct sealed_store *store = atomic_load(&s->b->store);

    if (!store)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_LOGIN, 0,
                            "the sealed store is locked");
    *ret = store;
    return TOKEN_S_OK;
}

static void sealed_close(struct backend *b)
{
    if (!b)
        return;
    (void)sealed_store_free(atomic_load(&b->store));
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

static enum token_result open_heap(const struct settings_token *settings,
                                   struct backend_error *reterr)
{
    size_t need = (size_t)settings->sessions * OPEN_KEYS_MAX * HEAP_PER_KEY;
    size_t len = HEAP_PER_KEY;
    int r;

    while (len < need)
        len *= 2;
    r = softkey_heap_init(len);
    if (r == 0)
        return TOKEN_S_OK;
    return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_NONE, 0,
                        "%zu KiB of memory for private keys cannot be %s: "
                        "lower Sessions=%s",
                        len / 1024, r == -ENOLCK ? "locked" : "had",
                        r == -ENOLCK ? " or raise LimitMEMLOCK=" : "");
}

static enum token_result sealed_open(const struct settings_token *settings,
                                     struct backend **ret,
                                     struct backend_error *reterr)
{
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    char id[2 * SEAL_ID_LEN + 1];
    struct errmsg e = { 0 };
    struct backend *b;
    enum token_result result;
    int r;

    r = sealed_store_open(settings->directory, &store, &e);
    if (r == SEALED_E_NO_STORE)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_NONE, 0,
                            "no sealed store in %.120s: make one with "
                            "acme-guardian-token init-sealed %s",
                            settings->directory, settings->name);
    if (r)
        return fail_open(r, &e, reterr);
    result = open_heap(settings, reterr);
    if (result != TOKEN_S_OK)
        return result;
    b = calloc(1, sizeof(*b));
    if (!b)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_NONE, 0,
                            "out of memory");
    b->settings = settings;
    sealed_store_id(store, id);
    (void)snprintf(b->serial, sizeof(b->serial), "%.*s", SEALED_SERIAL_LEN, id);
    (void)pthread_mutex_init(&b->lock, NULL);
    *ret = b;
    return TOKEN_S_OK;
}

static enum token_result refuse_pin(const struct sealed_store *store,
                                    const struct settings_token *settings,
                                    struct backend_error *reterr)
{
    bool has = settings->pin == SETTINGS_PIN_ASK ||
               sealed_store_has_slot(store, SEAL_KIND_CREDENTIAL);

    return refuse_token(reterr, TOKEN_S_PIN_WRONG,
                        "%s; the recovery passphrase gives it a new one: "
                        "acme-guardian-token reseal %s",
                        has ? "this secret opens no slot of the sealed store"
                            : "the sealed store has no slot for a credential",
                        settings->name);
}

/*
 * The header is read again: it may have been resealed since. Argon2id takes
 * 256 MiB and half a second, so passphrases are tried only where one is typed.
 */
static enum token_result unlock(struct backend *b, const struct secret *pin,
                                struct backend_error *reterr)
{
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    enum seal_kind kind = b->settings->pin == SETTINGS_PIN_ASK
                              ? SEAL_KIND_UNSET
                              : SEAL_KIND_CREDENTIAL;
    struct errmsg e = { 0 };
    int r;

    if (!pin)
        return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                            "a sealed store needs Pin= to open it");
    r = sealed_store_open(b->settings->directory, &store, &e);
    if (r)
        return fail_open(r, &e, reterr);
    r = sealed_store_unlock(store, kind, pin, &e);
    if (r == SEAL_E_WRONG)
        return refuse_pin(store, b->settings, reterr);
    if (r)
        return fail_open(r, &e, reterr);
    atomic_store(&b->store, TAKE_PTR(store));
    return TOKEN_S_OK;
}

static enum token_result sealed_login(struct backend *b,
                                      const struct secret *pin, unsigned flags,
                                      struct backend_error *reterr)
{
    enum token_result result = TOKEN_S_OK;

    (void)flags; /* nothing counts tries here */
    (void)pthread_mutex_lock(&b->lock);
    if (!atomic_load(&b->store))
        result = unlock(b, pin, reterr);
    (void)pthread_mutex_unlock(&b->lock);
    return result;
}

static void sealed_status(const struct backend *b, struct token_status *ret)
{
    (void)snprintf(ret->token_label, sizeof(ret->token_label), "%s",
                   b->settings->name);
    (void)snprintf(ret->manufacturer, sizeof(ret->manufacturer),
                   SEALED_MANUFACTURER);
    (void)snprintf(ret->model, sizeof(ret->model), SEALED_MODEL);
    (void)snprintf(ret->serial, sizeof(ret->serial), "%s", b->serial);
    (void)snprintf(ret->library, sizeof(ret->library), "sealed store, %.40s",
                   OpenSSL_version(OPENSSL_VERSION));
}

const struct backend_ops sealed_backend = {
    .kind = SETTINGS_BACKEND_SEALED,
    .open = sealed_open,
    .login = sealed_login,
    .status = sealed_status,
    .session_new = open_keys_new,
    .session_reset = open_keys_reset,
    .session_free = open_keys_free,
    .list = sealed_list,
    .find = sealed_find,
    .find_uri = sealed_find_uri,
    .generate = sealed_generate,
    .sign = sealed_sign,
    .destroy = sealed_destroy,
    .close = sealed_close,
};
