/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sessions. Opening and closing is serialised and each new handle compared with
 * those in use, since modules race here. A session that has seen an error is
 * closed, never used again: some leave its operation active for ever.
 */
#include "pkcs11/cryptoki.h"

#include <stdlib.h>

#include "pkcs11/ckr.h"

#define OPEN_TRIES 3 /* when the module hands out a handle that is in use */

static bool in_use(const struct backend *b, CK_SESSION_HANDLE handle)
{
    for (size_t i = 0; i < b->n_open; i++) {
        if (b->open[i] == handle)
            return true;
    }
    return false;
}

CK_RV cryptoki_open_session(struct backend *b, CK_FLAGS flags,
                            CK_SESSION_HANDLE *ret)
{
    CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
    CK_RV rv;

    if (b->n_open == CRYPTOKI_SESSIONS_MAX)
        return CKR_SESSION_COUNT;
    for (int i = 0; i < OPEN_TRIES; i++) {
        rv = b->f->C_OpenSession(b->slot, flags | CKF_SERIAL_SESSION, NULL,
                                 NULL, &handle);
        if (rv != CKR_OK)
            return rv;
        /* A duplicate is not closed: that would close the other's session. */
        if (handle != CK_INVALID_HANDLE && !in_use(b, handle)) {
            b->open[b->n_open++] = handle;
            *ret = handle;
            return CKR_OK;
        }
    }
    return CKR_SESSION_HANDLE_INVALID;
}

void cryptoki_close_session(struct backend *b, CK_SESSION_HANDLE handle)
{
    if (handle == CK_INVALID_HANDLE)
        return;
    (void)b->f->C_CloseSession(handle);
    for (size_t i = 0; i < b->n_open; i++) {
        if (b->open[i] == handle) {
            b->open[i] = b->open[--b->n_open];
            return;
        }
    }
}

bool cryptoki_session_public(const struct backend *b, CK_SESSION_HANDLE handle)
{
    CK_SESSION_INFO info = { 0 };

    if (!(b->token.flags & CKF_LOGIN_REQUIRED))
        return false;
    if (b->f->C_GetSessionInfo(handle, &info) != CKR_OK)
        return false;
    return info.state == CKS_RO_PUBLIC_SESSION ||
           info.state == CKS_RW_PUBLIC_SESSION;
}

enum token_result cryptoki_trouble(const struct backend_session *s, CK_RV rv,
                                   const char *what,
                                   struct backend_error *reterr)
{
    enum backend_cure cure;
    enum token_result r = ckr_classify(rv, &cure);

    if (rv == CKR_USER_NOT_LOGGED_IN ||
        (cure != BACKEND_CURE_NONE && cryptoki_session_public(s->b, s->handle)))
        cure = BACKEND_CURE_LOGIN;
    return backend_fail(reterr, r, cure, rv, "%s failed", what);
}

static enum token_result open_one(struct backend_session *s,
                                  struct backend_error *reterr)
{
    enum backend_cure cure;
    enum token_result r;
    CK_RV rv;

    rv = cryptoki_open_session(s->b, 0, &s->handle);
    if (rv == CKR_OK)
        return TOKEN_S_OK;
    r = ckr_classify(rv, &cure);
    return backend_fail(reterr, r, cure, rv, "C_OpenSession failed");
}

enum token_result cryptoki_session_new(struct backend *b,
                                       struct backend_session **ret,
                                       struct backend_error *reterr)
{
    struct backend_session *s = calloc(1, sizeof(*s));
    enum token_result r;

    if (s)
        *s = (struct backend_session){ .b = b, .digest = EVP_MD_CTX_new() };
    if (!s || !s->digest) {
        free(s);
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "out of memory");
    }
    pthread_mutex_lock(&b->lock);
    r = open_one(s, reterr);
    pthread_mutex_unlock(&b->lock);
    if (r != TOKEN_S_OK) {
        EVP_MD_CTX_free(s->digest);
        free(s);
        return r;
    }
    *ret = s;
    return TOKEN_S_OK;
}

bool cryptoki_room_is_short(const struct backend *b)
{
    return b->tpm2;
}

bool cryptoki_is_alone(const struct backend *b)
{
    return b->tpm2;
}

bool cryptoki_is_stale(const struct backend *b)
{
    return b->stale;
}

void cryptoki_has_destroyed(struct backend *b)
{
    if (b->tpm2)
        b->stale = true;
}

/* The ladder finds the session public then, logs in, and resets it once more:
 * as long as it has loaded nothing there is nothing to do. */
static void make_room(struct backend_session *s)
{
    if (!s->b->tpm2 || !s->has_loaded)
        return;
    (void)s->b->f->C_Logout(s->handle);
    s->has_loaded = false;
}

enum token_result cryptoki_session_reset(struct backend_session *s,
                                         struct backend_error *reterr)
{
    enum token_result r;

    pthread_mutex_lock(&s->b->lock);
    make_room(s);
    cryptoki_close_session(s->b, s->handle);
    s->handle = CK_INVALID_HANDLE;
    s->begun = false;
    r = open_one(s, reterr);
    pthread_mutex_unlock(&s->b->lock);
    if (r != TOKEN_S_OK)
        return r;
    if (cryptoki_session_public(s->b, s->handle))
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_LOGIN, 0,
                            "the token has forgotten the login");
    return TOKEN_S_OK;
}

void cryptoki_session_free(struct backend_session *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->b->lock);
    cryptoki_close_session(s->b, s->handle);
    pthread_mutex_unlock(&s->b->lock);
    EVP_MD_CTX_free(s->digest);
    free(s);
}
