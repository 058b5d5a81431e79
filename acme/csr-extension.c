/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/csr-extension.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "acme/der.h"

#define OID_TEXT_MAX 256
#define KEY_ID_MAX 64

/* Bits of keyUsage (RFC 5280 section 4.2.1.3). */
#define KEY_CERT_SIGN 5
#define CRL_SIGN 6

/* TLS extensions that a certificate may require (RFC 7633). */
#define TLS_STATUS_REQUEST 5
#define TLS_STATUS_REQUEST_V2 17

int csr_add_name(struct csr *csr, enum identifier_type type, struct bytes value,
                 struct refusal *ret_refusal)
{
    if (identifiers_has(&csr->names, type, value))
        return 0;
    return identifiers_add(&csr->names, type, value, ret_refusal);
}

static struct bytes string_bytes(const ASN1_STRING *s)
{
    return (struct bytes){ ASN1_STRING_get0_data(s),
                           (size_t)ASN1_STRING_length(s) };
}

static int san_add_address(struct csr *csr, struct bytes addr,
                           struct refusal *ret_refusal)
{
    char text[INET6_ADDRSTRLEN];

    if (addr.len != 4 && addr.len != 16)
        return refuse(ret_refusal, REASON_BAD_ADDRESS, "%zu octets", addr.len);
    if (!inet_ntop(addr.len == 4 ? AF_INET : AF_INET6, addr.data, text,
                   sizeof(text)))
        return -EIO;
    return csr_add_name(csr, IDENTIFIER_IP, bytes_from_str(text), ret_refusal);
}

static int san_add_name(struct csr *csr, const GENERAL_NAME *name,
                        struct refusal *ret_refusal)
{
    int type;
    const void *value = GENERAL_NAME_get0_value(name, &type);

    if (type == GEN_DNS)
        return csr_add_name(csr, IDENTIFIER_DNS, string_bytes(value),
                            ret_refusal);
    if (type == GEN_IPADD)
        return san_add_address(csr, string_bytes(value), ret_refusal);
    return refuse(ret_refusal, REASON_SAN_TYPE, "type %d", type);
}

static int extension_san(const ASN1_VALUE *value, struct csr *csr,
                         struct refusal *ret_refusal)
{
    const GENERAL_NAMES *names = (const GENERAL_NAMES *)value;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int r = san_add_name(csr, sk_GENERAL_NAME_value(names, i), ret_refusal);

        if (r)
            return r;
    }
    return 0;
}

static int extension_basic_constraints(const ASN1_VALUE *value, struct csr *csr,
                                       struct refusal *ret_refusal)
{
    const BASIC_CONSTRAINTS *bc = (const BASIC_CONSTRAINTS *)value;

    (void)csr;
    if (bc->ca)
        return refuse(ret_refusal, REASON_BAD_EXTENSION, "CA:TRUE");
    if (bc->pathlen)
        return refuse(ret_refusal, REASON_BAD_EXTENSION, "pathlen");
    return 0;
}

static int extension_key_usage(const ASN1_VALUE *value, struct csr *csr,
                               struct refusal *ret_refusal)
{
    const ASN1_BIT_STRING *bits = (const ASN1_BIT_STRING *)value;

    (void)csr;
    /* GnuTLS writes zero bits behind the last one bit: all read it alike. */
    if (ASN1_BIT_STRING_get_bit(bits, KEY_CERT_SIGN))
        return refuse(ret_refusal, REASON_BAD_EXTENSION, "keyCertSign");
    if (ASN1_BIT_STRING_get_bit(bits, CRL_SIGN))
        return refuse(ret_refusal, REASON_BAD_EXTENSION, "cRLSign");
    return 0;
}

static int extension_ext_key_usage(const ASN1_VALUE *value, struct csr *csr,
                                   struct refusal *ret_refusal)
{
    const EXTENDED_KEY_USAGE *usages = (const EXTENDED_KEY_USAGE *)value;

    (void)csr;
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
        int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));

        if (nid != NID_server_auth && nid != NID_client_auth)
            return refuse(ret_refusal, REASON_BAD_EXTENSION, "extKeyUsage %s",
                          OBJ_nid2sn(nid));
    }
    return 0;
}

static int extension_tls_feature(const ASN1_VALUE *value, struct csr *csr,
                                 struct refusal *ret_refusal)
{
    const TLS_FEATURE *features = (const TLS_FEATURE *)value;

    (void)csr;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++) {
        long n = ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i));

        if (n != TLS_STATUS_REQUEST && n != TLS_STATUS_REQUEST_V2)
            return refuse(ret_refusal, REASON_BAD_EXTENSION, "tlsfeature %ld",
                          n);
    }
    return 0;
}

static int extension_key_id(const ASN1_VALUE *value, struct csr *csr,
                            struct refusal *ret_refusal)
{
    size_t len = string_bytes((const ASN1_STRING *)value).len;

    (void)csr;
    if (len == 0 || len > KEY_ID_MAX)
        return refuse(ret_refusal, REASON_BAD_EXTENSION,
                      "subjectKeyIdentifier of %zu octets", len);
    return 0;
}

/* The standard set: what ACME clients ask for. */
static const struct extension_kind {
    int nid;
    int (*read)(const ASN1_VALUE *value, struct csr *csr,
                struct refusal *ret_refusal);
} kinds[] = {
    { NID_subject_alt_name, extension_san },
    { NID_basic_constraints, extension_basic_constraints },
    { NID_key_usage, extension_key_usage },
    { NID_ext_key_usage, extension_ext_key_usage },
    { NID_tlsfeature, extension_tls_feature },
    { NID_subject_key_identifier, extension_key_id },
};

static const struct extension_kind *extension_find_kind(X509_EXTENSION *ext)
{
    int nid = OBJ_obj2nid(X509_EXTENSION_get_object(ext));

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].nid == nid)
            return &kinds[i];
    }
    return NULL;
}

static int extension_read(X509_EXTENSION *ext,
                          const struct extension_kind *kind, struct csr *csr,
                          struct refusal *ret_refusal)
{
    const X509V3_EXT_METHOD *method = X509V3_EXT_get_nid(kind->nid);
    const ASN1_ITEM *it = ASN1_ITEM_ptr(method->it);
    struct bytes der = string_bytes(X509_EXTENSION_get_data(ext));
    ASN1_VALUE *value = NULL;
    int r;

    r = der_decode(der, it, NULL, &value, NULL);
    if (r < 0)
        return r;
    if (r == REFUSED)
        return refuse(ret_refusal, REASON_BAD_EXTENSION, "%s",
                      OBJ_nid2sn(kind->nid));
    r = kind->read(value, csr, ret_refusal);
    ASN1_item_free(value, it);
    return r;
}

/* Lists an extension that only CsrExtensions= allows. */
static int extension_list_oid(X509_EXTENSION *ext, struct csr *csr,
                              struct refusal *ret_refusal)
{
    char oid[OID_TEXT_MAX];
    CLEANUP_BUF struct buf copy = { 0 };
    size_t n = 0;
    int len = OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(ext), 1);
    int r;

    if (len <= 0 || (size_t)len >= sizeof(oid))
        return refuse(ret_refusal, REASON_BAD_EXTENSION, "long OID");
    if (!csr->extensions)
        csr->extensions = calloc(CSR_EXTENSIONS_MAX + 1, sizeof(char *));
    if (!csr->extensions)
        return -ENOMEM;
    while (csr->extensions[n])
        n++;
    r = buf_append_str(&copy, oid);
    if (r)
        return r;
    csr->extensions[n] = buf_take_str(&copy);
    return 0;
}

/* critical is DEFAULT FALSE; OpenSSL 3.0 keeps a FALSE that was spelled out,
 * later versions fail to encode it as it came. */
static int extension_check_critical(const X509_EXTENSION *ext,
                                    struct refusal *ret_refusal)
{
    X509_EXTENSION *usual = NULL;
    bool same;

    if (X509_EXTENSION_get_critical(ext))
        return 0;
    usual = X509_EXTENSION_dup(ext);
    if (!usual || X509_EXTENSION_set_critical(usual, 0) != 1) {
        X509_EXTENSION_free(usual);
        return -ENOMEM;
    }
    same = i2d_X509_EXTENSION(usual, NULL) == i2d_X509_EXTENSION(ext, NULL);
    X509_EXTENSION_free(usual);
    if (!same)
        return refuse(ret_refusal, REASON_BAD_DER, "critical spelled out");
    return 0;
}

static int extensions_check(const STACK_OF(X509_EXTENSION) * extensions,
                            struct refusal *ret_refusal)
{
    int n = sk_X509_EXTENSION_num(extensions);

    if (n > CSR_EXTENSIONS_MAX)
        return refuse(ret_refusal, REASON_BAD_EXTENSION, "%d extensions", n);
    for (int i = 0; i < n; i++) {
        X509_EXTENSION *ext = sk_X509_EXTENSION_value(extensions, i);
        const ASN1_OBJECT *oid = X509_EXTENSION_get_object(ext);
        int r;

        r = extension_check_critical(ext, ret_refusal);
        if (r)
            return r;
        if (X509v3_get_ext_by_OBJ(extensions, oid, i) >= 0)
            return refuse(ret_refusal, REASON_DUPLICATE_EXTENSION, "%s",
                          OBJ_nid2sn(OBJ_obj2nid(oid)));
    }
    return 0;
}

int csr_extensions_read(const STACK_OF(X509_EXTENSION) * extensions,
                        struct csr *csr, struct refusal *ret_refusal)
{
    int r;

    r = extensions_check(extensions, ret_refusal);
    for (int i = 0; !r && i < sk_X509_EXTENSION_num(extensions); i++) {
        X509_EXTENSION *ext = sk_X509_EXTENSION_value(extensions, i);
        const struct extension_kind *kind = extension_find_kind(ext);

        r = kind ? extension_read(ext, kind, csr, ret_refusal)
                 : extension_list_oid(ext, csr, ret_refusal);
    }
    return r;
}

int certificate_extensions_read(const STACK_OF(X509_EXTENSION) * extensions,
                                struct csr *csr, struct refusal *ret_refusal)
{
    int r;

    r = extensions_check(extensions, ret_refusal);
    for (int i = 0; !r && i < sk_X509_EXTENSION_num(extensions); i++) {
        X509_EXTENSION *ext = sk_X509_EXTENSION_value(extensions, i);
        const struct extension_kind *kind = extension_find_kind(ext);

        if (kind && kind->nid == NID_subject_alt_name)
            r = extension_read(ext, kind, csr, ret_refusal);
    }
    return r;
}
