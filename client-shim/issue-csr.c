/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "client-shim/issue-key.h"
#include "client-shim/issue-openssl.h"

static void req_free_p(X509_REQ **req)
{
    X509_REQ_free(*req);
}

static void names_free_p(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static void extensions_free_p(STACK_OF(X509_EXTENSION) * *list)
{
    sk_X509_EXTENSION_pop_free(*list, X509_EXTENSION_free);
}

static int openssl_error(void)
{
    ERR_clear_error();
    return -EIO;
}

/* Owns the name that it pushes, or frees it. */
static bool push_name(GENERAL_NAMES *names, const char *text)
{
    ASN1_IA5STRING *ia5 = ASN1_IA5STRING_new();
    GENERAL_NAME *name = GENERAL_NAME_new();

    if (!ia5 || !name || ASN1_STRING_set(ia5, text, -1) != 1) {
        ASN1_IA5STRING_free(ia5);
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_set0_value(name, GEN_DNS, ia5);
    if (sk_GENERAL_NAME_push(names, name))
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static int add_names(X509_REQ *req, const struct identifiers *ids)
{
    CLEANUP(names_free_p) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    CLEANUP(extensions_free_p)
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *e;

    if (!names || !extensions)
        return -ENOMEM;
    for (size_t i = 0; i < ids->n; i++) {
        if (!push_name(names, ids->items[i].value))
            return openssl_error();
    }
    e = X509V3_EXT_i2d(NID_subject_alt_name, 0, names);
    if (!e || !sk_X509_EXTENSION_push(extensions, e)) {
        X509_EXTENSION_free(e);
        return openssl_error();
    }
    return X509_REQ_add_extensions(req, extensions) == 1 ? 0 : openssl_error();
}

int issue_csr_new(EVP_PKEY *key, const struct identifiers *names,
                  struct buf *ret)
{
    CLEANUP(req_free_p) X509_REQ *req = X509_REQ_new();
    CLEANUP_ISSUE_DER unsigned char *der = NULL;
    int len;
    int r;

    if (!req || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(req, key) != 1)
        return openssl_error();
    r = add_names(req, names);
    if (r)
        return r;
    if (X509_REQ_sign(req, key,
                      EVP_PKEY_get_bits(key) == 384 ? EVP_sha384()
                                                    : EVP_sha256()) <= 0)
        return openssl_error();
    len = i2d_X509_REQ(req, &der);
    return len > 0 ? buf_append(ret, der, (size_t)len) : openssl_error();
}

int issue_csr_der(struct bytes file, struct buf *ret)
{
    CLEANUP_ISSUE_BIO BIO *bio = NULL;
    CLEANUP_ISSUE_DER unsigned char *der = NULL;
    long len = 0;
    int ok;

    if (file.len == 0 || file.len > INT_MAX)
        return ISSUE_KEY_E_INVALID;
    if (file.data[0] == 0x30) /* SEQUENCE; PEM is text */
        return buf_append(ret, file.data, file.len);
    bio = BIO_new_mem_buf(file.data, (int)file.len);
    if (!bio)
        return -ENOMEM;
    ok = PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_X509_REQ, bio,
                            issue_no_password, NULL);
    ERR_clear_error();
    return ok == 1 ? buf_append(ret, der, (size_t)len) : ISSUE_KEY_E_INVALID;
}

int issue_csr_key(struct bytes der, EVP_PKEY **ret)
{
    const unsigned char *p = der.data;
    CLEANUP(req_free_p)
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.len);
    EVP_PKEY *key = req ? X509_REQ_get_pubkey(req) : NULL;

    ERR_clear_error();
    if (!key)
        return ISSUE_KEY_E_INVALID;
    *ret = key;
    return 0;
}
