/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Requests and certificates made on the spot. */

#include "support.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sodium.h>

#include "acme/csr.h"
#include "acme/evp-key.h"

#define D(s)                                                                   \
    {                                                                          \
        (const uint8_t *)(s), sizeof(s) - 1                                    \
    }
#define EXTENSIONS_MAX 40

static EVP_PKEY *test_key;
static struct acme_account *account;

/* An extension by OpenSSL's configuration text, or by its octets. */
struct ext {
    const char *oid;
    const char *conf;
    struct bytes raw;
    bool critical;
};

#define SAN(text)                                                              \
    {                                                                          \
        "subjectAltName", (text), { 0 }, false                                 \
    }
#define RAW(oid, octets)                                                       \
    {                                                                          \
        (oid), NULL, D(octets), false                                          \
    }
#define SAN_OID "2.5.29.17"
#define SAN_OK SAN("DNS:example.com")

static inline ASN1_OCTET_STRING *octets_new(struct bytes b)
{
    ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();

    assert_int_equal(ASN1_OCTET_STRING_set(s, b.data, (int)b.len), 1);
    return s;
}

static inline X509_EXTENSION *ext_new(const struct ext *e)
{
    X509_EXTENSION *ext;
    ASN1_OBJECT *oid;
    ASN1_OCTET_STRING *value;

    if (e->conf) {
        ext = X509V3_EXT_conf(NULL, NULL, e->oid, e->conf);
        assert_non_null(ext);
        return ext;
    }
    oid = OBJ_txt2obj(e->oid, 0);
    value = octets_new(e->raw);
    ext = X509_EXTENSION_create_by_OBJ(NULL, oid, e->critical, value);
    assert_non_null(ext);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(value);
    return ext;
}

static inline void add_cn(X509_NAME *name, const char *value, int type)
{
    assert_int_equal(X509_NAME_add_entry_by_NID(name, NID_commonName, type,
                                                (const uint8_t *)value, -1, -1,
                                                0),
                     1);
}

static inline X509_REQ *req_new(EVP_PKEY *key, const char *cn,
                                const struct ext *exts, size_t n)
{
    X509_REQ *req = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

    assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
    if (cn)
        add_cn(X509_REQ_get_subject_name(req), cn, V_ASN1_UTF8STRING);
    for (size_t i = 0; i < n; i++)
        sk_X509_EXTENSION_push(list, ext_new(&exts[i]));
    if (n > 0)
        assert_int_equal(X509_REQ_add_extensions(req, list), 1);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return req;
}

/* Signs, encodes and frees. */
static inline void req_finish(X509_REQ *req, EVP_PKEY *key, const char *digest,
                              struct buf *ret)
{
    uint8_t *der = NULL;
    int len;

    assert_true(
        X509_REQ_sign(req, key, digest ? EVP_get_digestbyname(digest) : NULL) >
        0);
    len = i2d_X509_REQ(req, &der);
    assert_true(len > 0);
    assert_int_equal(buf_append(ret, der, (size_t)len), 0);
    OPENSSL_free(der);
    X509_REQ_free(req);
}

static inline const char *read_csr(struct bytes der, struct csr *ret)
{
    static struct refusal refusal;
    int r = csr_read(der, account, ret, &refusal);

    assert_in_range(r, 0, REFUSED);
    return r ? reason_code(refusal.reason) : NULL;
}

/* Reads what @req becomes, and frees it. */
static inline const char *outcome_of(X509_REQ *req, EVP_PKEY *key,
                                     const char *digest)
{
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };
    const char *got;

    req_finish(req, key, digest, &der);
    got = read_csr(buf_bytes(&der), &csr);
    csr_deinit(&csr);
    return got;
}

static inline int set_up(void **state)
{
    (void)state;
    test_key = EVP_EC_gen("P-256");
    account = account_new(REGISTERED);
    return !test_key || !account;
}

static inline int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(test_key);
    acme_account_free(account);
    return 0;
}
