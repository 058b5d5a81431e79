/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One C_Login, after the token's own flags have been looked at. They are not
 * enough (a TPM never sets them), so that no PIN is sent twice is the caller's
 * part (login.c); but where they say that a wrong try would be the last, only
 * an operator may take it.
 */
#include "pkcs11/cryptoki.h"

#include "pkcs11/ckr.h"

/* What is in the token's flags against sending a PIN now. */
static enum token_result check_flags(CK_FLAGS now, const struct secret *pin,
                                     unsigned flags,
                                     struct backend_error *reterr)
{
    bool confirmed = flags & BACKEND_LOGIN_CONFIRMED;
    bool pinpad = now & CKF_PROTECTED_AUTHENTICATION_PATH;

    if (!pin && !pinpad)
        return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                            "the token wants a PIN, and Pin= is none");
    if (now & CKF_USER_PIN_LOCKED)
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token says that its user PIN is locked");
    if (now & CKF_USER_PIN_TO_BE_CHANGED)
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token wants its user PIN to be changed first");
    if ((now & CKF_USER_PIN_FINAL_TRY) && !confirmed)
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token says that one more wrong PIN locks it; "
                            "confirm with guardianctl token unlock");
    /* A PIN of ours that failed explains the flag when the PIN has changed
     * since; otherwise somebody else is guessing, or mistyped. */
    if ((now & CKF_USER_PIN_COUNT_LOW) && !confirmed &&
        !(flags & BACKEND_LOGIN_CHANGED))
        return refuse_token(reterr, TOKEN_S_PIN_LOCKED,
                            "the token says that a wrong PIN was entered; "
                            "confirm with guardianctl token unlock");
    return TOKEN_S_OK;
}

/* The session that keeps the login alive may have died with it. */
static CK_RV ensure_anchor(struct backend *b)
{
    CK_SESSION_INFO info;

    if (b->anchor != CK_INVALID_HANDLE) {
        if (b->f->C_GetSessionInfo(b->anchor, &info) == CKR_OK)
            return CKR_OK;
        cryptoki_close_session(b, b->anchor);
        b->anchor = CK_INVALID_HANDLE;
    }
    return cryptoki_open_session(b, 0, &b->anchor);
}

static enum token_result log_in(struct backend *b, const struct secret *pin,
                                struct backend_error *reterr)
{
    enum backend_cure cure;
    enum token_result r;
    CK_RV rv;

    rv = b->f->C_Login(b->anchor, CKU_USER, pin ? pin->data : NULL,
                       pin ? pin->len : 0);
    if (rv == CKR_USER_ALREADY_LOGGED_IN &&
        !cryptoki_session_public(b, b->anchor))
        rv = CKR_OK;
    if (rv == CKR_OK)
        return TOKEN_S_OK;
    r = ckr_classify(rv, &cure);
    if (r != TOKEN_S_PIN_WRONG && r != TOKEN_S_PIN_LOCKED)
        r = TOKEN_S_FAILED;
    return backend_fail(reterr, r, cure, rv, "C_Login failed");
}

static enum token_result locked_login(struct backend *b,
                                      const struct secret *pin, unsigned flags,
                                      struct backend_error *reterr)
{
    CK_TOKEN_INFO now = { 0 };
    enum token_result r;
    CK_RV rv;

    /* A try must not be lost on a token that is not there. */
    rv = b->f->C_GetTokenInfo(b->slot, &now);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, rv,
                            "C_GetTokenInfo failed");
    rv = ensure_anchor(b);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, rv,
                            "C_OpenSession failed");
    if (!(now.flags & CKF_LOGIN_REQUIRED))
        return TOKEN_S_OK;
    r = check_flags(now.flags, pin, flags, reterr);
    return r == TOKEN_S_OK ? log_in(b, pin, reterr) : r;
}

enum token_result cryptoki_login(struct backend *b, const struct secret *pin,
                                 unsigned flags, struct backend_error *reterr)
{
    enum token_result r;

    pthread_mutex_lock(&b->lock);
    r = locked_login(b, pin, flags, reterr);
    pthread_mutex_unlock(&b->lock);
    return r;
}
