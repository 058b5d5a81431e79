/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * PKCS#11 through libp11, for modules that its engine is known to work with.
 * It signs ES256, ES384 and RS256 and finds keys by label; the rest is
 * "unsupported-by-backend". Rules that libp11 0.4.12 imposes:
 *
 * - It reads no attribute that proves a key unextractable: nothing is claimed.
 * - One key of a type that it does not know (Ed25519) and it lists none at all.
 * - It keeps the PIN in ordinary heap memory for as long as it lives.
 * - It does not recover from a lost session: every doubt ends in a new process.
 * - All but signing happens under one lock, and slots are listed once: updating
 *   the list crashes.
 */
#include "pkcs11/libp11-backend.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "pkcs11/ckr.h"
#include "pkcs11/signature.h"
#include "pkcs11/token-uri.h"

/* The CK_RV (its low 23 bits) of the call that just failed; 0 if there is none.
 */
static unsigned long take_ckr(void)
{
    unsigned long e = ERR_peek_last_error();
    unsigned long rv = 0;

    if (e != 0 && ERR_GET_LIB(e) == ERR_get_CKR_code())
        rv = (unsigned long)ERR_GET_REASON(e);
    ERR_clear_error();
    return rv;
}

enum token_result libp11_fail(const char *what, struct backend_error *reterr)
{
    unsigned long rv = take_ckr();
    enum backend_cure cure = BACKEND_CURE_RESTART;
    enum token_result r = TOKEN_S_FAILED;

    if (rv != 0)
        r = ckr_classify(rv, &cure);
    if (cure == BACKEND_CURE_SESSION)
        cure = BACKEND_CURE_RESTART;
    return backend_fail(reterr, r, cure, rv, "%s", what);
}

static bool slot_matches(P11KitUri *uri, PKCS11_SLOT *slot)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri);
    const PKCS11_TOKEN *t = slot->token;
    CK_TOKEN_INFO info;

    if (!t || !t->initialized ||
        (wanted != (CK_SLOT_ID)-1 &&
         wanted != PKCS11_get_slotid_from_slot(slot)))
        return false;
    info = token_uri_info(t->label, t->manufacturer, t->model, t->serialnr);
    return p11_kit_uri_match_token_info(uri, &info);
}

static enum token_result find_token(struct backend *b, P11KitUri *uri,
                                    struct backend_error *reterr)
{
    unsigned matches = 0;

    if (PKCS11_enumerate_slots(b->ctx, &b->slots, &b->n_slots) != 0) {
        (void)libp11_fail("the slots cannot be listed", reterr);
        return reterr->result = TOKEN_S_NO_TOKEN;
    }
    for (unsigned i = 0; i < b->n_slots; i++) {
        if (!slot_matches(uri, &b->slots[i]))
            continue;
        b->slot = &b->slots[i];
        matches++;
    }
    return token_uri_only(b->settings->token_uri, matches, reterr);
}

static enum token_result load(struct backend *b, struct backend_error *reterr)
{
    CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
    enum token_result r;

    r = token_uri_parse(b->settings->token_uri, &uri, reterr);
    if (r != TOKEN_S_OK)
        return r;
    b->ctx = PKCS11_CTX_new();
    if (!b->ctx)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "out of memory");
    if (b->settings->init_args)
        PKCS11_CTX_init_args(b->ctx, b->settings->init_args);
    if (PKCS11_CTX_load(b->ctx, b->settings->module) != 0) {
        (void)libp11_fail("Module= cannot be loaded", reterr);
        return reterr->result = TOKEN_S_NO_TOKEN;
    }
    b->loaded = true;
    /* A module may have set another handler (see cryptoki.c). */
    (void)signal(SIGPIPE, SIG_IGN);
    return find_token(b, uri, reterr);
}

static void libp11_close(struct backend *b)
{
    if (!b)
        return;
    if (b->slots)
        PKCS11_release_all_slots(b->ctx, b->slots, b->n_slots);
    if (b->loaded)
        PKCS11_CTX_unload(b->ctx);
    if (b->ctx)
        PKCS11_CTX_free(b->ctx);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

static enum token_result libp11_open(const struct settings_token *settings,
                                     struct backend **ret,
                                     struct backend_error *reterr)
{
    struct backend *b = calloc(1, sizeof(*b));
    enum token_result r;

    if (!b)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "out of memory");
    b->settings = settings;
    (void)pthread_mutex_init(&b->lock, NULL);
    r = load(b, reterr);
    if (r != TOKEN_S_OK) {
        libp11_close(b);
        return r;
    }
    *ret = b;
    return TOKEN_S_OK;
}

/* The flags as they were when the slots were listed, once in a process. */
static enum token_result check_flags(const PKCS11_TOKEN *t, unsigned flags,
                                     struct backend_error *reterr)
{
    bool confirmed = flags & BACKEND_LOGIN_CONFIRMED;

    if (t->userPinLocked)
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token says that its user PIN is locked");
    if (t->userPinToBeChanged)
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token wants its user PIN to be changed first");
    if (t->userPinFinalTry && !confirmed)
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token says that one more wrong PIN locks it; "
                            "confirm with guardianctl token unlock");
    if (t->userPinCountLow && !confirmed && !(flags & BACKEND_LOGIN_CHANGED))
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token says that a wrong PIN was entered; "
                            "confirm with guardianctl token unlock");
    return TOKEN_S_OK;
}

static enum token_result send_pin(struct backend *b, const struct secret *pin,
                                  struct backend_error *reterr)
{
    CLEANUP_SECRET struct secret *text = NULL;
    enum token_result r;

    if (memchr(pin->data, '\0', pin->len))
        return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                            "the PIN has a NUL in it, which libp11 cannot "
                            "pass on");
    if (secret_new(pin->len + 1, &text))
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "no locked memory for the PIN");
    memcpy(text->data, pin->data, pin->len);
    text->data[pin->len] = '\0';
    if (PKCS11_login(b->slot, 0, (const char *)text->data) == 0)
        return TOKEN_S_OK;
    r = libp11_fail("PKCS11_login failed", reterr);
    if (r != TOKEN_S_PIN_WRONG && r != TOKEN_S_PIN_LOCKED)
        reterr->result = TOKEN_S_FAILED;
    return reterr->result;
}

static enum token_result locked_login(struct backend *b,
                                      const struct secret *pin, unsigned flags,
                                      struct backend_error *reterr)
{
    enum token_result r;

    if (b->logged_in)
        return TOKEN_S_OK;
    /* Opened by us first: in libp11 itself, a failure to open the first
     * session is waited for for ever. Once only, since it forgets the rest. */
    if (!b->session_open && PKCS11_open_session(b->slot, 0) != 0)
        return libp11_fail("PKCS11_open_session failed", reterr);
    b->session_open = true;
    if (b->slot->token->loginRequired) {
        if (!pin)
            return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                                "the token wants a PIN, and Pin= is none");
        r = check_flags(b->slot->token, flags, reterr);
        if (r == TOKEN_S_OK)
            r = send_pin(b, pin, reterr);
        if (r != TOKEN_S_OK)
            return r;
    }
    b->logged_in = true;
    return TOKEN_S_OK;
}

static enum token_result libp11_login(struct backend *b,
                                      const struct secret *pin, unsigned flags,
                                      struct backend_error *reterr)
{
    enum token_result r;

    ERR_clear_error();
    (void)pthread_mutex_lock(&b->lock);
    r = locked_login(b, pin, flags, reterr);
    (void)pthread_mutex_unlock(&b->lock);
    return r;
}

static void libp11_status(const struct backend *b, struct token_status *ret)
{
    const PKCS11_TOKEN *t = b->slot->token;

    (void)snprintf(ret->token_label, sizeof(ret->token_label), "%s", t->label);
    (void)snprintf(ret->manufacturer, sizeof(ret->manufacturer), "%s",
                   t->manufacturer);
    (void)snprintf(ret->model, sizeof(ret->model), "%s", t->model);
    (void)snprintf(ret->serial, sizeof(ret->serial), "%s", t->serialnr);
    (void)snprintf(ret->library, sizeof(ret->library), "%.40s through libp11",
                   b->ctx->description);
}

static enum token_result unsupported(const char *what,
                                     struct backend_error *reterr)
{
    return backend_fail(reterr, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE, 0,
                        "unsupported-by-backend: libp11 cannot %s; use "
                        "Backend=cryptoki",
                        what);
}

static enum token_result libp11_find_uri(struct backend_session *s,
                                         const char *uri,
                                         struct backend_key *ret,
                                         struct backend_error *reterr)
{
    (void)s;
    (void)uri;
    (void)ret;
    return unsupported("take a key over by its URI", reterr);
}

static enum token_result libp11_generate(struct backend_session *s,
                                         const char *label, enum token_alg alg,
                                         unsigned rsa_bits,
                                         struct backend_key *ret,
                                         struct backend_error *reterr)
{
    (void)s;
    (void)label;
    (void)alg;
    (void)rsa_bits;
    (void)ret;
    return unsupported("make keys", reterr);
}

static enum token_result libp11_destroy(struct backend_session *s,
                                        const struct backend_key *key,
                                        struct backend_error *reterr)
{
    (void)s;
    (void)key;
    return unsupported("destroy keys", reterr);
}

const struct backend_ops libp11_backend = {
    .kind = SETTINGS_BACKEND_LIBP11,
    .open = libp11_open,
    .login = libp11_login,
    .status = libp11_status,
    .session_new = open_keys_new,
    .session_reset = open_keys_reset,
    .session_free = open_keys_free,
    .list = libp11_list,
    .find = libp11_find,
    .find_uri = libp11_find_uri,
    .generate = libp11_generate,
    .sign = libp11_sign,
    .destroy = libp11_destroy,
    .close = libp11_close,
};
