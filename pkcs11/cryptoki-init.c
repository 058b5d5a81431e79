/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Making a token (PKCS#11 2.40 sections 5.5 and 5.6): C_InitToken under the
 * security officer's PIN, then the user's PIN by C_InitPIN. A token that holds
 * anything is never initialised: C_InitToken would destroy its keys.
 */
#include "pkcs11/cryptoki.h"

#include <string.h>

#include "pkcs11/ckr.h"

#define CRYPTOKI_LABEL_LEN 32

static bool is_blank(const struct backend *b, P11KitUri *uri, CK_SLOT_ID slot)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri);
    CK_SLOT_INFO info = { 0 };
    CK_TOKEN_INFO token = { 0 };

    return (wanted == (CK_SLOT_ID)-1 || wanted == slot) &&
           b->f->C_GetSlotInfo(slot, &info) == CKR_OK &&
           p11_kit_uri_match_slot_info(uri, &info) &&
           b->f->C_GetTokenInfo(slot, &token) == CKR_OK &&
           !(token.flags & CKF_TOKEN_INITIALIZED);
}

/* Blank-padded, and without a label nobody would find it again. */
static bool get_label(P11KitUri *uri,
                      CK_UTF8CHAR ret[static CRYPTOKI_LABEL_LEN])
{
    const CK_TOKEN_INFO *info = p11_kit_uri_get_token_info(uri);

    memcpy(ret, info->label, CRYPTOKI_LABEL_LEN);
    return ret[0] != '\0' && ret[0] != ' ';
}

enum token_result cryptoki_find_blank(struct backend *b, P11KitUri *uri,
                                      struct backend_error *reterr)
{
    CK_SLOT_ID slots[CRYPTOKI_SLOTS_MAX];
    CK_UTF8CHAR label[CRYPTOKI_LABEL_LEN];
    unsigned blanks = 0;
    CK_ULONG n = 0;
    CK_RV rv;

    if (!get_label(uri, label))
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "Token=%s has no token=LABEL to give the new token",
                            b->settings->token_uri);
    rv = cryptoki_slots(b, slots, &n);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, rv,
                            "C_GetSlotList failed");
    for (CK_ULONG i = 0; i < n && i < CRYPTOKI_SLOTS_MAX; i++) {
        if (!is_blank(b, uri, slots[i]))
            continue;
        b->slot = slots[i];
        blanks++;
    }
    if (blanks == 0)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, 0,
                            "the module has no token that is not initialised "
                            "yet");
    if (blanks > 1)
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "%u tokens are not initialised: name one by "
                            "slot-id in Token=",
                            blanks);
    return TOKEN_S_OK;
}

static enum token_result check_length(const struct secret *pin,
                                      const CK_TOKEN_INFO *info,
                                      const char *what,
                                      struct backend_error *reterr)
{
    if (pin->len < info->ulMinPinLen ||
        (info->ulMaxPinLen > 0 && pin->len > info->ulMaxPinLen))
        return refuse_token(reterr, TOKEN_S_PIN_WRONG,
                            "%s has %zu octets, the token takes %lu to %lu",
                            what, pin->len, info->ulMinPinLen,
                            info->ulMaxPinLen);
    return TOKEN_S_OK;
}

enum token_result cryptoki_check_pin_lengths(const struct backend *b,
                                             const struct secret *so_pin,
                                             const struct secret *pin,
                                             struct backend_error *reterr)
{
    CK_TOKEN_INFO info = { 0 };
    enum token_result r;
    CK_RV rv;

    rv = b->f->C_GetTokenInfo(b->slot, &info);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, rv,
                            "C_GetTokenInfo failed");
    r = check_length(so_pin, &info, "the recovery passphrase", reterr);
    return r == TOKEN_S_OK
               ? check_length(pin, &info, "the secret of Pin=", reterr)
               : r;
}

enum token_result cryptoki_init_token(struct backend *b, P11KitUri *uri,
                                      const struct secret *so_pin,
                                      struct backend_error *reterr)
{
    CK_UTF8CHAR label[CRYPTOKI_LABEL_LEN];
    CK_RV rv;

    (void)get_label(uri, label); /* cryptoki_find_blank() has looked */
    rv = b->f->C_InitToken(b->slot, so_pin->data, so_pin->len, label);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_NONE, rv,
                            "C_InitToken failed");
    return TOKEN_S_OK;
}

static enum token_result set_pin(struct backend *b, CK_SESSION_HANDLE session,
                                 const struct secret *so_pin,
                                 const struct secret *pin,
                                 struct backend_error *reterr)
{
    enum backend_cure cure;
    CK_RV rv = b->f->C_Login(session, CKU_SO, so_pin->data, so_pin->len);

    if (rv != CKR_OK)
        return backend_fail(
            reterr,
            ckr_classify(rv, &cure) == TOKEN_S_PIN_WRONG ? TOKEN_S_PIN_WRONG
                                                         : TOKEN_S_FAILED,
            BACKEND_CURE_NONE, rv, "C_Login as security officer failed");
    rv = b->f->C_InitPIN(session, pin->data, pin->len);
    (void)b->f->C_Logout(session);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_NONE, rv,
                            "C_InitPIN failed");
    return TOKEN_S_OK;
}

enum token_result cryptoki_init_pin(struct backend *b,
                                    const struct secret *so_pin,
                                    const struct secret *pin,
                                    struct backend_error *reterr)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    enum token_result r;
    CK_RV rv;

    rv = cryptoki_open_session(b, CKF_RW_SESSION, &session);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, rv,
                            "C_OpenSession failed");
    r = set_pin(b, session, so_pin, pin, reterr);
    cryptoki_close_session(b, session);
    return r;
}
