/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A new key: born on the token, sensitive, not extractable, for signing alone.
 * Defaults differ (SoftHSM2 makes keys readable, NSS lets them derive), so the
 * templates name everything; a token that knows less gets a shorter private
 * template that still names what must hold. Reading the attributes back is what
 * counts.
 */
#include "pkcs11/cryptoki.h"

#include <string.h>

#include <sodium.h>

#define ID_LEN 16

struct recipe {
    CK_MECHANISM_TYPE mechanism;
    CK_KEY_TYPE type;
    uint8_t params[12]; /* CKA_EC_PARAMS: a named curve's OID */
    CK_ULONG params_len;
};

static const struct recipe recipes[] = {
    [TOKEN_ALG_ES256] = { CKM_EC_KEY_PAIR_GEN,
                          CKK_EC,
                          { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
                            0x01, 0x07 },
                          10 },
    [TOKEN_ALG_ES384] = { CKM_EC_KEY_PAIR_GEN,
                          CKK_EC,
                          { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 },
                          7 },
    [TOKEN_ALG_RS256] = { CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, { 0 }, 0 },
    [TOKEN_ALG_EDDSA] = { CKM_EC_EDWARDS_KEY_PAIR_GEN,
                          CKK_EC_EDWARDS,
                          { 0x06, 0x03, 0x2b, 0x65, 0x70 },
                          5 },
};

struct request {
    struct recipe recipe; /* a copy: templates are not const */
    char label[TOKEN_LABEL_MAX + 8];
    CK_BYTE id[ID_LEN];
    CK_ULONG rsa_bits;
};

static CK_RV generate(const struct backend *b, CK_SESSION_HANDLE rw,
                      struct request *q, bool shorter,
                      CK_OBJECT_HANDLE *ret_public,
                      CK_OBJECT_HANDLE *ret_private)
{
    CK_MECHANISM mechanism = { q->recipe.mechanism, NULL, 0 };
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_BYTE exponent[] = { 0x01, 0x00, 0x01 };
    bool rsa = q->recipe.type == CKK_RSA;
    CK_ATTRIBUTE public[] = {
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_LABEL, q->label, strlen(q->label) },
        { CKA_ID, q->id, sizeof(q->id) },
        { CKA_PRIVATE, &no, sizeof(no) },
        /* No CKA_VERIFY: we verify with OpenSSL, and tpm2-pkcs11 refuses it
         * together with a private key that does not decrypt. */
        { rsa ? CKA_MODULUS_BITS : CKA_EC_PARAMS,
          rsa ? (void *)&q->rsa_bits : q->recipe.params,
          rsa ? sizeof(q->rsa_bits) : q->recipe.params_len },
        { CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent) },
    };
    CK_ATTRIBUTE private[] = {
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_LABEL, q->label, strlen(q->label) },
        { CKA_ID, q->id, sizeof(q->id) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, &no, sizeof(no) },
        { CKA_SIGN, &yes, sizeof(yes) },
        /* Some tokens know no such switches for the key type. */
        { CKA_DERIVE, &no, sizeof(no) },
        { CKA_DECRYPT, &no, sizeof(no) },
        { CKA_UNWRAP, &no, sizeof(no) },
    };

    return b->f->C_GenerateKeyPair(
        rw, &mechanism, public, ARRAY_LEN(public) - (rsa ? 0 : 1), private,
        ARRAY_LEN(private) - (shorter ? 3 : 0), ret_public, ret_private);
}

static bool dislikes_template(CK_RV rv)
{
    return rv == CKR_TEMPLATE_INCONSISTENT ||
           rv == CKR_ATTRIBUTE_TYPE_INVALID ||
           rv == CKR_ATTRIBUTE_VALUE_INVALID || rv == CKR_ATTRIBUTE_READ_ONLY;
}

/* A handle that was given for what is new may name something else: tpm2-pkcs11
 * gives one twice, and what was meant for the new key would meet another. */
static bool is_named(const struct backend *b, CK_SESSION_HANDLE rw,
                     CK_OBJECT_HANDLE object, const char *label)
{
    struct cryptoki_value v;

    return cryptoki_read(b, rw, object, CKA_LABEL, &v) == CKR_OK &&
           v.len == strlen(label) && memcmp(v.data, label, v.len) == 0;
}

static void destroy_named(struct backend *b, CK_SESSION_HANDLE rw,
                          CK_OBJECT_HANDLE object, const char *label)
{
    if (!is_named(b, rw, object, label))
        return;
    (void)b->f->C_DestroyObject(rw, object);
    cryptoki_has_destroyed(b);
}

/* What came out, from the token; a key that is not fit does not stay. */
static enum token_result
read_back(struct backend_session *s, CK_SESSION_HANDLE rw, const char *label,
          CK_OBJECT_HANDLE public, CK_OBJECT_HANDLE private,
          struct backend_key *ret, struct backend_error *reterr)
{
    struct backend_session there = { .b = s->b, .handle = rw };
    const uint32_t must = TOKEN_ATTR_SENSITIVE | TOKEN_ATTR_UNEXTRACTABLE;
    const uint32_t never =
        must | TOKEN_ATTR_ALWAYS_SENSITIVE | TOKEN_ATTR_NEVER_EXTRACTABLE;
    struct backend_key key = { .handle = private };
    const char *unfit = NULL;
    CK_RV rv = cryptoki_read_key(&there, private, &key.key, &unfit);

    if (rv == CKR_OK && strcmp(key.key.label, label) != 0)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "the handle of the new key names another");
    if (rv == CKR_OK && !unfit) {
        if ((key.key.attrs & must) != must)
            unfit = "the token made it readable, against the request";
        else if (key.key.attrs_known & ~key.key.attrs & never)
            unfit = "the token says that it was not born sensitive";
    }
    if (rv == CKR_OK && !unfit) {
        *ret = key;
        return TOKEN_S_OK;
    }
    destroy_named(s->b, rw, private, label);
    destroy_named(s->b, rw, public, label);
    if (unfit)
        return refuse_token(reterr, TOKEN_S_KEY_UNFIT,
                            "the new key was destroyed again: %s", unfit);
    return cryptoki_trouble(&there, rv, "reading the new key", reterr);
}

static enum token_result make_key(struct backend_session *s,
                                  CK_SESSION_HANDLE rw, struct request *q,
                                  struct backend_key *ret,
                                  struct backend_error *reterr)
{
    CLEANUP(cryptoki_turn_end)
    struct cryptoki_turn turn = cryptoki_turn_change(s->b);
    CK_OBJECT_HANDLE public = CK_INVALID_HANDLE;
    CK_OBJECT_HANDLE private = CK_INVALID_HANDLE;
    CK_RV rv;

    (void)turn;
    s->has_loaded = true;
    rv = generate(s->b, rw, q, false, &public, &private);
    if (dislikes_template(rv))
        rv = generate(s->b, rw, q, true, &public, &private);
    if (rv == CKR_DEVICE_MEMORY)
        return backend_fail(reterr, TOKEN_S_FULL, BACKEND_CURE_NONE, rv,
                            "no room for another key");
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "C_GenerateKeyPair", reterr);
    return read_back(s, rw, q->label, public, private, ret, reterr);
}

static void see_room(struct backend *b)
{
    CK_TOKEN_INFO now = { 0 };

    if (b->f->C_GetTokenInfo(b->slot, &now) == CKR_OK)
        cryptoki_see_room(b, &now);
}

enum token_result cryptoki_generate(struct backend_session *s,
                                    const char *label, enum token_alg alg,
                                    unsigned rsa_bits, struct backend_key *ret,
                                    struct backend_error *reterr)
{
    struct request q = { .recipe = recipes[alg], .rsa_bits = rsa_bits };
    CK_SESSION_HANDLE rw = CK_INVALID_HANDLE;
    enum token_result r;
    CK_RV rv;

    memcpy(q.label, label, strlen(label) + 1);
    randombytes_buf(q.id, sizeof(q.id));
    pthread_mutex_lock(&s->b->lock);
    rv = cryptoki_open_session(s->b, CKF_RW_SESSION, &rw);
    pthread_mutex_unlock(&s->b->lock);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "C_OpenSession", reterr);
    r = make_key(s, rw, &q, ret, reterr);
    see_room(s->b);
    pthread_mutex_lock(&s->b->lock);
    cryptoki_close_session(s->b, rw);
    pthread_mutex_unlock(&s->b->lock);
    return r;
}
