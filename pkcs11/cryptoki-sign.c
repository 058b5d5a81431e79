/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The hash is ours: SoftHSM2 has no CKM_ECDSA_SHA256, and signs a "digest" of
 * any length without complaint. CKM_ECDSA gives r||s, which is what JWS wants.
 */
#include "pkcs11/cryptoki.h"

#include <string.h>

#define DIGEST_MAX 48
#define DIGEST_INFO_LEN 19

/* RFC 8017 section 9.2, note 1: DigestInfo of SHA-256, up to the hash. */
static const uint8_t digest_info[DIGEST_INFO_LEN] = {
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
    0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
};

struct operation {
    uint8_t *data;
    CK_ULONG len;
};

/* CK_UNAVAILABLE_INFORMATION: we do not sign with such keys. */
static CK_MECHANISM_TYPE mechanism(const struct backend_session *s,
                                   uint32_t alg)
{
    switch (alg) {
    case TOKEN_ALG_ES256:
    case TOKEN_ALG_ES384:
        return CKM_ECDSA;
    case TOKEN_ALG_RS256:
        return s->b->rsa_hashes ? CKM_SHA256_RSA_PKCS : CKM_RSA_PKCS;
    case TOKEN_ALG_EDDSA:
        return CKM_EDDSA;
    default:
        return CK_UNAVAILABLE_INFORMATION;
    }
}

static int hash(const struct backend_session *s, const EVP_MD *md,
                struct bytes input, uint8_t *ret)
{
    return EVP_DigestInit_ex2(s->digest, md, NULL) == 1 &&
                   EVP_DigestUpdate(s->digest, input.data, input.len) == 1 &&
                   EVP_DigestFinal_ex(s->digest, ret, NULL) == 1
               ? 0
               : -1;
}

/* What goes to the token: @space holds the digest; or the message itself. */
static int prepare(const struct backend_session *s, uint32_t alg,
                   struct bytes input,
                   uint8_t space[static DIGEST_INFO_LEN + DIGEST_MAX],
                   struct operation *ret)
{
    switch (alg) {
    case TOKEN_ALG_ES256:
        *ret = (struct operation){ space, 32 };
        return hash(s, s->b->sha256, input, space);
    case TOKEN_ALG_ES384:
        *ret = (struct operation){ space, 48 };
        return hash(s, s->b->sha384, input, space);
    case TOKEN_ALG_RS256:
        if (s->b->rsa_hashes)
            break;
        memcpy(space, digest_info, DIGEST_INFO_LEN);
        *ret = (struct operation){ space, DIGEST_INFO_LEN + 32 };
        return hash(s, s->b->sha256, input, space + DIGEST_INFO_LEN);
    default:
        break;
    }
    /* The message as it is; PKCS#11 has no const. */
    *ret = (struct operation){ bytes_unconst(input), input.len };
    return 0;
}

enum token_result cryptoki_begin(struct backend_session *s,
                                 const struct backend_key *key,
                                 struct backend_error *reterr)
{
    CK_MECHANISM m = { mechanism(s, key->key.alg), NULL, 0 };
    CK_RV rv;

    s->has_loaded = true;
    rv = s->b->f->C_SignInit(s->handle, &m, key->handle);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "C_SignInit", reterr);
    s->begun = true;
    return TOKEN_S_OK;
}

enum token_result cryptoki_sign(struct backend_session *s,
                                const struct backend_key *key,
                                struct bytes input,
                                uint8_t ret_sig[static TOKEN_SIGNATURE_MAX],
                                size_t *ret_len, struct backend_error *reterr)
{
    uint8_t space[DIGEST_INFO_LEN + DIGEST_MAX];
    /* Room for answers that are too long, to be told apart from faults. */
    uint8_t sig[2 * TOKEN_SIGNATURE_MAX];
    CK_ULONG len = sizeof(sig);
    enum token_result r = TOKEN_S_OK;
    struct operation op;
    CK_RV rv;

    if (prepare(s, key->key.alg, input, space, &op) < 0)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "hashing failed");
    if (!s->begun)
        r = cryptoki_begin(s, key, reterr);
    if (r != TOKEN_S_OK)
        return r;
    s->begun = false;
    rv = s->b->f->C_Sign(s->handle, op.data, op.len, sig, &len);
    if (rv != CKR_OK)
        return cryptoki_trouble(s, rv, "C_Sign", reterr);
    if (len > TOKEN_SIGNATURE_MAX)
        return backend_fail(reterr, TOKEN_S_BAD_SIGNATURE, BACKEND_CURE_NONE, 0,
                            "the token gave a signature of %lu octets", len);
    memcpy(ret_sig, sig, len);
    *ret_len = len;
    return TOKEN_S_OK;
}
