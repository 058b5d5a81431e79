/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The direct PKCS#11 backend: loads the module, finds the token. It works
 * around what real modules do (each oddity is named where it is met) and never
 * finalises a module in use: the process ends instead.
 */
#include "pkcs11/cryptoki.h"

#include <assert.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/ckr.h"
#include "pkcs11/token-uri.h"

#define TPM2_DESCRIPTION "TPM2.0 Cryptoki"

/* NSS reads past the standard structure. */
struct padded_init_args {
    CK_C_INITIALIZE_ARGS args;
    void *padding[8];
};

static enum token_result load(struct backend *b, struct backend_error *reterr)
{
    CK_C_GetFunctionList get;
    CK_RV rv;

    b->library = dlopen(b->settings->module, RTLD_NOW | RTLD_LOCAL);
    if (!b->library)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, 0,
                            "Module= cannot be loaded: %s", dlerror());
    *(void **)&get = dlsym(b->library, "C_GetFunctionList");
    if (!get)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, 0,
                            "%s is not a PKCS#11 module", b->settings->module);
    rv = get(&b->f);
    if (rv != CKR_OK || !b->f)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, rv,
                            "C_GetFunctionList failed");
    return TOKEN_S_OK;
}

static enum token_result initialise(struct backend *b,
                                    struct backend_error *reterr)
{
    struct padded_init_args init = {
        .args = { .flags = CKF_OS_LOCKING_OK },
    };
    CK_RV rv;

    assert(b->f);
    /* An empty pReserved is refused by some: NULL when there is nothing. */
    init.args.pReserved = b->settings->init_args;
    rv = b->f->C_Initialize(&init.args);
    /* p11-kit's client would take us along when its server goes away; a module
     * may have set another handler. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, rv,
                            "C_Initialize failed");
    (void)b->f->C_GetInfo(&b->info);
    return TOKEN_S_OK;
}

static bool slot_matches(const struct backend *b, P11KitUri *uri,
                         CK_SLOT_ID slot, CK_TOKEN_INFO *ret)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri);
    CK_SLOT_INFO info = { 0 };

    memset(ret, 0, sizeof(*ret));
    return (wanted == (CK_SLOT_ID)-1 || wanted == slot) &&
           b->f->C_GetSlotInfo(slot, &info) == CKR_OK &&
           p11_kit_uri_match_slot_info(uri, &info) &&
           b->f->C_GetTokenInfo(slot, ret) == CKR_OK &&
           (ret->flags & CKF_TOKEN_INITIALIZED) &&
           p11_kit_uri_match_token_info(uri, ret);
}

CK_RV cryptoki_slots(const struct backend *b,
                     CK_SLOT_ID ret[static CRYPTOKI_SLOTS_MAX], CK_ULONG *ret_n)
{
    *ret_n = CRYPTOKI_SLOTS_MAX;
    return b->f->C_GetSlotList(CK_TRUE, ret, ret_n);
}

/* Only of a token that says how much it has in all: some leave both zero. */
void cryptoki_see_room(struct backend *b, const CK_TOKEN_INFO *info)
{
    if (info->ulTotalPrivateMemory == 0 ||
        info->ulTotalPrivateMemory == CK_UNAVAILABLE_INFORMATION ||
        info->ulFreePrivateMemory == CK_UNAVAILABLE_INFORMATION)
        b->free_plus_one = 0;
    else if (info->ulFreePrivateMemory < UINT32_MAX)
        b->free_plus_one = (uint32_t)info->ulFreePrivateMemory + 1;
    else
        b->free_plus_one = UINT32_MAX;
}

enum token_result cryptoki_match(struct backend *b, P11KitUri *uri,
                                 unsigned *ret_matches,
                                 struct backend_error *reterr)
{
    CK_SLOT_ID slots[CRYPTOKI_SLOTS_MAX];
    CK_TOKEN_INFO token;
    unsigned matches = 0;
    CK_ULONG n = 0;
    CK_RV rv;

    rv = cryptoki_slots(b, slots, &n);
    if (rv != CKR_OK)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, rv,
                            "C_GetSlotList failed");
    if (!p11_kit_uri_match_module_info(uri, &b->info))
        n = 0;
    for (CK_ULONG i = 0; i < n && i < CRYPTOKI_SLOTS_MAX; i++) {
        if (!slot_matches(b, uri, slots[i], &token))
            continue;
        b->slot = slots[i];
        b->token = token;
        cryptoki_see_room(b, &token);
        matches++;
    }
    *ret_matches = matches;
    return TOKEN_S_OK;
}

/* Slot ids change with every start; label and serial do not. */
static enum token_result find_token(struct backend *b, P11KitUri *uri,
                                    struct backend_error *reterr)
{
    unsigned matches = 0;
    enum token_result r = cryptoki_match(b, uri, &matches, reterr);

    return r == TOKEN_S_OK
               ? token_uri_only(b->settings->token_uri, matches, reterr)
               : r;
}

bool cryptoki_token_present(const struct backend *b)
{
    CK_TOKEN_INFO now = { 0 };

    return b->f->C_GetTokenInfo(b->slot, &now) == CKR_OK &&
           memcmp(now.label, b->token.label, sizeof(now.label)) == 0 &&
           memcmp(now.serialNumber, b->token.serialNumber,
                  sizeof(now.serialNumber)) == 0;
}

static bool has_mechanism(const struct backend *b, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_INFO info = { 0 };

    return b->f->C_GetMechanismInfo(b->slot, type, &info) == CKR_OK &&
           (info.flags & CKF_SIGN);
}

/* Everything but the token. */
static enum token_result load_module(struct backend *b, P11KitUri **ret_uri,
                                     struct backend_error *reterr)
{
    enum token_result r;

    b->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    b->sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
    if (!b->sha256 || !b->sha384)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "OpenSSL has no SHA-2");
    r = token_uri_parse(b->settings->token_uri, ret_uri, reterr);
    if (r == TOKEN_S_OK)
        r = load(b, reterr);
    return r == TOKEN_S_OK ? initialise(b, reterr) : r;
}

void cryptoki_close(struct backend *b)
{
    if (!b)
        return;
    /* tpm2-pkcs11 lets keys go at a logout alone. */
    if (b->tpm2 && b->anchor != CK_INVALID_HANDLE)
        (void)b->f->C_Logout(b->anchor);
    if (b->f)
        (void)b->f->C_Finalize(NULL);
    if (b->library)
        (void)dlclose(b->library);
    EVP_MD_free(b->sha256);
    EVP_MD_free(b->sha384);
    (void)pthread_mutex_destroy(&b->lock);
    (void)pthread_rwlock_destroy(&b->objects);
    free(b);
}

enum token_result cryptoki_load(const struct settings_token *settings,
                                struct backend **ret, P11KitUri **ret_uri,
                                struct backend_error *reterr)
{
    struct backend *b = calloc(1, sizeof(*b));
    enum token_result r;

    if (!b)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "out of memory");
    *b = (struct backend){ .settings = settings,
                           .lock = PTHREAD_MUTEX_INITIALIZER,
                           .objects = PTHREAD_RWLOCK_INITIALIZER };
    r = load_module(b, ret_uri, reterr);
    if (r != TOKEN_S_OK) {
        cryptoki_close(b);
        return r;
    }
    assert(b->f);
    *ret = b;
    return TOKEN_S_OK;
}

static enum token_result cryptoki_open(const struct settings_token *settings,
                                       struct backend **ret,
                                       struct backend_error *reterr)
{
    CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
    struct backend *b = NULL;
    enum token_result r;

    r = cryptoki_load(settings, &b, &uri, reterr);
    if (!b)
        return r;
    r = find_token(b, uri, reterr);
    if (r != TOKEN_S_OK) {
        cryptoki_close(b);
        return r;
    }
    b->tpm2 = strncmp((const char *)b->info.libraryDescription,
                      TPM2_DESCRIPTION, strlen(TPM2_DESCRIPTION)) == 0;
    /* For tpm2-pkcs11, CKM_RSA_PKCS is to decrypt: our keys do not. */
    b->rsa_hashes = (b->tpm2 || !has_mechanism(b, CKM_RSA_PKCS)) &&
                    has_mechanism(b, CKM_SHA256_RSA_PKCS);
    *ret = b;
    return TOKEN_S_OK;
}

static void cryptoki_status(const struct backend *b, struct token_status *ret)
{
    char text[64];

    ret->free_plus_one = b->free_plus_one;

    token_uri_text(b->token.label, sizeof(b->token.label), ret->token_label,
                   sizeof(ret->token_label));
    token_uri_text(b->token.manufacturerID, sizeof(b->token.manufacturerID),
                   ret->manufacturer, sizeof(ret->manufacturer));
    token_uri_text(b->token.model, sizeof(b->token.model), ret->model,
                   sizeof(ret->model));
    token_uri_text(b->token.serialNumber, sizeof(b->token.serialNumber),
                   ret->serial, sizeof(ret->serial));
    token_uri_text(b->info.libraryDescription,
                   sizeof(b->info.libraryDescription), text, sizeof(text));
    (void)snprintf(ret->library, sizeof(ret->library), "%.50s %u.%u", text,
                   b->info.libraryVersion.major, b->info.libraryVersion.minor);
}

const struct backend_ops cryptoki_backend = {
    .kind = SETTINGS_BACKEND_CRYPTOKI,
    .open = cryptoki_open,
    .login = cryptoki_login,
    .status = cryptoki_status,
    .session_new = cryptoki_session_new,
    .session_reset = cryptoki_session_reset,
    .session_free = cryptoki_session_free,
    .room_is_short = cryptoki_room_is_short,
    .is_alone = cryptoki_is_alone,
    .is_stale = cryptoki_is_stale,
    .list = cryptoki_list,
    .find = cryptoki_find,
    .find_uri = cryptoki_find_uri,
    .generate = cryptoki_generate,
    .sign = cryptoki_sign,
    .begin = cryptoki_begin,
    .destroy = cryptoki_destroy,
    .close = cryptoki_close,
};
