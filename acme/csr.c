/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/csr.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "acme/csr-extension.h"
#include "acme/der.h"
#include "acme/dns-name.h"
#include "acme/evp-key.h"

#define RSA_BITS_MAX 4096
#define POINT_UNCOMPRESSED 0x04

static void req_free_p(X509_REQ **req)
{
    X509_REQ_free(*req);
}

static void x509_free_p(X509 **cert)
{
    X509_free(*cert);
}

static void bn_free_p(BIGNUM **n)
{
    BN_free(*n);
}

static void extensions_free_p(STACK_OF(X509_EXTENSION) * *extensions)
{
    sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

/* OpenSSL keeps the signed part as it came: encoded anew, a DEFAULT spelled out
 * or an empty optional SET shows. */
static int request_encode_anew(ASN1_VALUE *value)
{
    return i2d_re_X509_REQ_tbs((X509_REQ *)value, NULL);
}

static int certificate_encode_anew(ASN1_VALUE *value)
{
    return i2d_re_X509_tbs((X509 *)value, NULL);
}

static int signed_decode(struct bytes der, const ASN1_ITEM *it,
                         der_encode_anew_fn anew, ASN1_VALUE **ret,
                         struct refusal *ret_refusal)
{
    if (der.len > CSR_MAX)
        return refuse(ret_refusal, REASON_TOO_LARGE, "%zu octets", der.len);
    return der_decode(der, it, anew, ret, ret_refusal);
}

static int csr_decode(struct bytes der, X509_REQ **ret,
                      struct refusal *ret_refusal)
{
    CLEANUP(req_free_p) X509_REQ *req = NULL;
    ASN1_VALUE *value = NULL;
    int r;

    r = signed_decode(der, ASN1_ITEM_rptr(X509_REQ), request_encode_anew,
                      &value, ret_refusal);
    if (r)
        return r;
    req = (X509_REQ *)value;
    if (X509_REQ_get_version(req) != X509_REQ_VERSION_1)
        return refuse(ret_refusal, REASON_BAD_DER, "version");
    *ret = TAKE_PTR(req);
    return 0;
}

static int certificate_decode(struct bytes der, X509 **ret,
                              struct refusal *ret_refusal)
{
    ASN1_VALUE *value = NULL;
    int r;

    r = signed_decode(der, ASN1_ITEM_rptr(X509), certificate_encode_anew,
                      &value, ret_refusal);
    if (r == 0)
        *ret = (X509 *)value;
    return r;
}

/* SHA-2 by name, and no parameters but RSA's NULL (RFC 4055, 5758, 8410). */
static bool signature_is_usual(const X509_REQ *req)
{
    const X509_ALGOR *alg;
    int nid = X509_REQ_get_signature_nid(req);
    int digest, key, param;

    X509_REQ_get0_signature(req, NULL, &alg);
    X509_ALGOR_get0(NULL, &param, NULL, alg);
    if (!OBJ_find_sigid_algs(nid, &digest, &key))
        return false;
    if (nid == NID_ED25519)
        return param == V_ASN1_UNDEF;
    if (digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512)
        return false;
    return param == (key == NID_rsaEncryption ? V_ASN1_NULL : V_ASN1_UNDEF);
}

static int csr_check_signature(X509_REQ *req, EVP_PKEY *key,
                               struct refusal *ret_refusal)
{
    int good;

    if (!signature_is_usual(req))
        return refuse(ret_refusal, REASON_BAD_SIGNATURE, "algorithm");
    good = X509_REQ_verify(req, key);
    ERR_clear_error();
    if (good != 1)
        return refuse(ret_refusal, REASON_BAD_SIGNATURE, "self-signature");
    return 0;
}

static int key_read_rsa(EVP_PKEY *key, struct csr *csr,
                        struct refusal *ret_refusal)
{
    CLEANUP(bn_free_p) BIGNUM *e = NULL;
    int bits = EVP_PKEY_get_bits(key);

    if (bits > RSA_BITS_MAX)
        return refuse(ret_refusal, REASON_BAD_KEY, "RSA of %d bits", bits);
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
        return -ENOMEM;
    if (!BN_is_odd(e))
        return refuse(ret_refusal, REASON_BAD_KEY, "even exponent");
    if (BN_is_one(e))
        return refuse(ret_refusal, REASON_BAD_KEY, "exponent 1");
    if (BN_num_bytes(e) > JWK_E_MAX)
        return refuse(ret_refusal, REASON_BAD_KEY, "large exponent");
    csr->key_type = CSR_KEY_RSA;
    csr->rsa_bits = (unsigned)bits;
    return 0;
}

static int key_read_ec(EVP_PKEY *key, X509_PUBKEY *spki, struct csr *csr,
                       struct refusal *ret_refusal)
{
    static const struct {
        const char *group;
        enum csr_key_type type;
    } groups[] = {
        { "prime256v1", CSR_KEY_EC_P256 },
        { "secp384r1", CSR_KEY_EC_P384 },
        { "secp521r1", CSR_KEY_EC_P521 },
    };
    char group[32] = "";
    const uint8_t *point = NULL;
    X509_ALGOR *alg = NULL;
    int param = V_ASN1_UNDEF, len = 0;

    EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group,
                                   sizeof(group), NULL);
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (strcmp(group, groups[i].group) == 0)
            csr->key_type = groups[i].type;
    }
    if (csr->key_type == CSR_KEY_UNSET)
        return refuse(ret_refusal, REASON_BAD_KEY, "curve %s", group);
    /* RFC 5480 lets readers do without both of these. */
    X509_PUBKEY_get0_param(NULL, &point, &len, &alg, spki);
    X509_ALGOR_get0(NULL, &param, NULL, alg);
    if (param != V_ASN1_OBJECT)
        return refuse(ret_refusal, REASON_BAD_KEY, "curve not by name");
    if (len < 1 || point[0] != POINT_UNCOMPRESSED)
        return refuse(ret_refusal, REASON_BAD_KEY, "compressed point");
    return 0;
}

static int key_read_type(EVP_PKEY *key, X509_PUBKEY *spki, struct csr *csr,
                         struct refusal *ret_refusal)
{
    if (key && EVP_PKEY_is_a(key, "RSA"))
        return key_read_rsa(key, csr, ret_refusal);
    if (key && EVP_PKEY_is_a(key, "EC"))
        return key_read_ec(key, spki, csr, ret_refusal);
    if (!key || !EVP_PKEY_is_a(key, "ED25519"))
        return refuse(ret_refusal, REASON_BAD_KEY,
                      "not readable, or of another type");
    csr->key_type = CSR_KEY_ED25519;
    return 0;
}

/* The key anew, so that a parameter too many is seen. */
static int key_check_spki(EVP_PKEY *key, X509_PUBKEY *spki,
                          struct refusal *ret_refusal)
{
    uint8_t *given = NULL, *anew = NULL;
    int given_len = i2d_X509_PUBKEY(spki, &given);
    int anew_len = i2d_PUBKEY(key, &anew);
    struct bytes der = { given, given_len > 0 ? (size_t)given_len : 0 };
    bool same = der_same(der, anew_len, anew);

    OPENSSL_free(given);
    OPENSSL_free(anew);
    if (!same)
        return refuse(ret_refusal, REASON_BAD_KEY, "another encoding");
    return 0;
}

/* RFC 8555 section 11.1. */
static int key_check_not_account(EVP_PKEY *key,
                                 const struct acme_account *account,
                                 struct csr *csr, struct refusal *ret_refusal)
{
    struct jwk jwk;
    int r;

    r = evp_key_to_jwk(key, &jwk);
    if (r < 0)
        return r;
    if (r == 0)
        csr->key = jwk;
    if (r == 0 && jwk_eq(&jwk, &account->jwk))
        return refuse(ret_refusal, REASON_ACCOUNT_KEY, "the account's own");
    return 0;
}

static int csr_read_key(X509_REQ *req, const struct acme_account *account,
                        struct csr *csr, struct refusal *ret_refusal)
{
    X509_PUBKEY *spki = X509_REQ_get_X509_PUBKEY(req);
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    int r;

    ERR_clear_error();
    r = key_read_type(key, spki, csr, ret_refusal);
    if (r)
        return r;
    r = key_check_spki(key, spki, ret_refusal);
    if (r)
        return r;
    r = key_check_not_account(key, account, csr, ret_refusal);
    if (r)
        return r;
    return csr_check_signature(req, key, ret_refusal);
}

static int subject_read_cn(const ASN1_STRING *cn, struct csr *csr,
                           struct refusal *ret_refusal)
{
    struct bytes value = { ASN1_STRING_get0_data(cn),
                           (size_t)ASN1_STRING_length(cn) };
    int type = ASN1_STRING_type(cn);
    uint8_t addr[16];
    size_t len;

    if (type != V_ASN1_UTF8STRING && type != V_ASN1_PRINTABLESTRING &&
        type != V_ASN1_IA5STRING)
        return refuse(ret_refusal, REASON_SUBJECT_CN, "string type %d", type);
    if (ip_text_check(value, addr, &len, NULL) == 0)
        return csr_add_name(csr, IDENTIFIER_IP, value, ret_refusal);
    return csr_add_name(csr, IDENTIFIER_DNS, value, ret_refusal);
}

static int subject_read(const X509_NAME *subject, struct csr *csr,
                        struct refusal *ret_refusal)
{
    unsigned n_cn = 0;

    for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
        int r;

        if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) != NID_commonName) {
            csr->other_subject = true;
            continue;
        }
        n_cn++;
        if (n_cn > 1)
            return refuse(ret_refusal, REASON_SUBJECT_CN, "two CN");
        r = subject_read_cn(X509_NAME_ENTRY_get_data(entry), csr, ret_refusal);
        if (r)
            return r;
    }
    return 0;
}

/*
 * The extensions of the one extensionRequest. OpenSSL's X509_REQ_get_extensions
 * takes the first of several, Microsoft's included; Go's reader takes all. Of
 * other attributes only those that `openssl req` may ask for and nobody reads.
 */
static int csr_find_extensions(const X509_REQ *req, struct bytes *ret,
                               struct refusal *ret_refusal)
{
    for (int i = 0; i < X509_REQ_get_attr_count(req); i++) {
        X509_ATTRIBUTE *attr = X509_REQ_get_attr(req, i);
        int nid = OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attr));
        const ASN1_TYPE *value;

        if (nid == NID_pkcs9_challengePassword ||
            nid == NID_pkcs9_unstructuredName)
            continue;
        if (nid != NID_ext_req)
            return refuse(ret_refusal, REASON_CSR_ATTRIBUTE, "%s",
                          OBJ_nid2sn(nid));
        if (ret->data)
            return refuse(ret_refusal, REASON_CSR_ATTRIBUTE,
                          "two extensionRequest");
        if (X509_ATTRIBUTE_count(attr) != 1)
            return refuse(ret_refusal, REASON_CSR_ATTRIBUTE,
                          "extensionRequest of %d values",
                          X509_ATTRIBUTE_count(attr));
        value = X509_ATTRIBUTE_get0_type(attr, 0);
        if (ASN1_TYPE_get(value) != V_ASN1_SEQUENCE)
            return refuse(ret_refusal, REASON_CSR_ATTRIBUTE,
                          "extensionRequest is no sequence");
        ret->data = value->value.sequence->data;
        ret->len = (size_t)value->value.sequence->length;
    }
    return 0;
}

static int csr_read_extensions(const X509_REQ *req, struct csr *csr,
                               struct refusal *ret_refusal)
{
    CLEANUP(extensions_free_p) STACK_OF(X509_EXTENSION) *extensions = NULL;
    ASN1_VALUE *value = NULL;
    struct bytes der = { 0 };
    int r;

    r = csr_find_extensions(req, &der, ret_refusal);
    if (r || !der.data)
        return r;
    r = der_decode(der, ASN1_ITEM_rptr(X509_EXTENSIONS), NULL, &value,
                   ret_refusal);
    if (r)
        return r;
    extensions = (STACK_OF(X509_EXTENSION) *)value;
    return csr_extensions_read(extensions, csr, ret_refusal);
}

static int csr_fill(struct bytes der, const struct acme_account *account,
                    struct csr *csr, struct refusal *ret_refusal)
{
    CLEANUP(req_free_p) X509_REQ *req = NULL;
    int r;

    r = csr_decode(der, &req, ret_refusal);
    if (r)
        return r;
    r = subject_read(X509_REQ_get_subject_name(req), csr, ret_refusal);
    if (r)
        return r;
    r = csr_read_extensions(req, csr, ret_refusal);
    if (r)
        return r;
    if (csr->names.n == 0)
        return refuse(ret_refusal, REASON_NO_IDENTIFIERS, "no CN and no SAN");
    return csr_read_key(req, account, csr, ret_refusal);
}

static int certificate_fill(struct bytes der, struct csr *csr,
                            struct refusal *ret_refusal)
{
    CLEANUP(x509_free_p) X509 *cert = NULL;
    int r;

    r = certificate_decode(der, &cert, ret_refusal);
    if (r)
        return r;
    r = subject_read(X509_get_subject_name(cert), csr, ret_refusal);
    if (r)
        return r;
    r = certificate_extensions_read(X509_get0_extensions(cert), csr,
                                    ret_refusal);
    if (r)
        return r;
    if (csr->names.n == 0)
        return refuse(ret_refusal, REASON_NO_IDENTIFIERS, "no CN and no SAN");
    return 0;
}

int csr_read(struct bytes der, const struct acme_account *account,
             struct csr *ret, struct refusal *ret_refusal)
{
    struct csr csr = { 0 };
    int r;

    r = csr_fill(der, account, &csr, ret_refusal);
    ERR_clear_error();
    if (r) {
        csr_deinit(&csr);
        return r;
    }
    *ret = csr;
    return 0;
}

int certificate_read(struct bytes der, struct csr *ret,
                     struct refusal *ret_refusal)
{
    struct csr csr = { 0 };
    int r;

    r = certificate_fill(der, &csr, ret_refusal);
    ERR_clear_error();
    if (r) {
        csr_deinit(&csr);
        return r;
    }
    csr.other_subject = false;
    *ret = csr;
    return 0;
}

void csr_deinit(struct csr *csr)
{
    identifiers_deinit(&csr->names);
    for (char **oid = csr->extensions; oid && *oid; oid++)
        free(*oid);
    free(csr->extensions);
    *csr = (struct csr){ 0 };
}
