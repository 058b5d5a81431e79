/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/issue-cert.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "acme/b64url.h"
#include "acme/csr.h"
#include "client-shim/issue-openssl.h"

int issue_chain_parse(struct bytes pem, STACK_OF(X509) * *ret)
{
    CLEANUP_ISSUE_CHAIN STACK_OF(X509) *chain = sk_X509_new_null();
    CLEANUP_ISSUE_BIO BIO *bio = NULL;
    X509 *cert;

    if (!pem.data || pem.len > INT_MAX)
        return ISSUE_CERT_E_INVALID;
    bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (!chain || !bio)
        return -ENOMEM;
    while ((cert = PEM_read_bio_X509(bio, NULL, issue_no_password, NULL))) {
        if (!sk_X509_push(chain, cert)) {
            X509_free(cert);
            return -ENOMEM;
        }
    }
    /* The end of the text is PEM_R_NO_START_LINE; all else is a block that
     * cannot be read. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE ||
        sk_X509_num(chain) == 0) {
        ERR_clear_error();
        return ISSUE_CERT_E_INVALID;
    }
    ERR_clear_error();
    *ret = TAKE_PTR(chain);
    return 0;
}

int issue_cert_names(const X509 *cert, struct identifiers *ret)
{
    CLEANUP_ISSUE_DER unsigned char *der = NULL;
    struct csr read = { 0 };
    struct refusal refusal;
    int len = i2d_X509(cert, &der);
    int r;

    if (len <= 0) {
        ERR_clear_error();
        return -ENOMEM;
    }
    r = certificate_read((struct bytes){ der, (size_t)len }, &read, &refusal);
    if (r)
        return r == REFUSED ? ISSUE_CERT_E_INVALID : r;
    *ret = read.names;
    read.names = (struct identifiers){ 0 };
    csr_deinit(&read);
    return 0;
}

static bool subset(const struct identifiers *a, const struct identifiers *b)
{
    for (size_t i = 0; i < a->n; i++) {
        if (!identifiers_has(b, a->items[i].type,
                             bytes_from_str(a->items[i].value)))
            return false;
    }
    return true;
}

bool issue_names_same(const struct identifiers *a, const struct identifiers *b)
{
    return subset(a, b) && subset(b, a);
}

bool issue_names_meet(const struct identifiers *a, const struct identifiers *b)
{
    for (size_t i = 0; i < a->n; i++) {
        if (identifiers_has(b, a->items[i].type,
                            bytes_from_str(a->items[i].value)))
            return true;
    }
    return false;
}

static int read_time(const ASN1_TIME *t, int64_t *ret_s)
{
    struct tm tm = { 0 };

    if (ASN1_TIME_to_tm(t, &tm) != 1) {
        ERR_clear_error();
        return ISSUE_CERT_E_INVALID;
    }
    *ret_s = timegm(&tm);
    return 0;
}

int issue_cert_validity(const X509 *cert, struct issue_validity *ret)
{
    struct issue_validity v = { 0 };
    int r;

    r = read_time(X509_get0_notBefore(cert), &v.not_before_s);
    if (r == 0)
        r = read_time(X509_get0_notAfter(cert), &v.not_after_s);
    if (r)
        return r;
    if (v.not_after_s <= v.not_before_s)
        return ISSUE_CERT_E_INVALID;
    *ret = v;
    return 0;
}

int issue_cert_digest(const X509 *cert, uint8_t ret[static 32])
{
    unsigned len = 0;

    if (X509_digest(cert, EVP_sha256(), ret, &len) == 1 && len == 32)
        return 0;
    ERR_clear_error();
    return -ENOMEM;
}

bool issue_cert_has_key(const X509 *cert, const EVP_PKEY *key)
{
    const EVP_PKEY *own = X509_get0_pubkey(cert);
    bool same = own && key && EVP_PKEY_eq(own, key) == 1;

    ERR_clear_error();
    return same;
}

static bool linked(X509 *cert, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool ok = key && X509_check_issued(issuer, cert) == X509_V_OK &&
              X509_verify(cert, key) == 1;

    ERR_clear_error();
    return ok;
}

static int check_leaf(const X509 *leaf, const EVP_PKEY *key,
                      const struct identifiers *names, int64_t now_s,
                      struct errmsg *reterr)
{
    struct identifiers own = { 0 };
    struct issue_validity validity;
    int r;

    if (!issue_cert_has_key(leaf, key)) {
        errmsg_set(reterr, "the certificate is not for the key of the request");
        return ISSUE_CERT_E_INVALID;
    }
    r = issue_cert_names(leaf, &own);
    if (r == -ENOMEM)
        return r;
    if (r || !issue_names_same(&own, names)) {
        identifiers_deinit(&own);
        errmsg_set(reterr, "the certificate's names are not those ordered");
        return ISSUE_CERT_E_INVALID;
    }
    identifiers_deinit(&own);
    r = issue_cert_validity(leaf, &validity);
    if (r || validity.not_after_s <= now_s) {
        errmsg_set(reterr, "the certificate has expired already");
        return ISSUE_CERT_E_INVALID;
    }
    return 0;
}

int issue_chain_check(const STACK_OF(X509) * chain, const EVP_PKEY *key,
                      const struct identifiers *names, int64_t now_s,
                      struct errmsg *reterr)
{
    int r;

    if (sk_X509_num(chain) < 1) {
        errmsg_set(reterr, "the chain is empty");
        return ISSUE_CERT_E_INVALID;
    }
    r = check_leaf(sk_X509_value(chain, 0), key, names, now_s, reterr);
    for (int i = 0; r == 0 && i + 1 < sk_X509_num(chain); i++) {
        if (!linked(sk_X509_value(chain, i), sk_X509_value(chain, i + 1))) {
            errmsg_set(reterr,
                       "certificate %d of the chain is not signed by the next",
                       i + 1);
            r = ISSUE_CERT_E_INVALID;
        }
    }
    return r;
}

/* U+0080 to U+009F: one of them begins a terminal's commands, as ESC [ does. */
static bool is_c1(struct bytes text, size_t at)
{
    return at + 1 < text.len && text.data[at] == 0xc2 &&
           text.data[at + 1] < 0xa0;
}

/* It is shown, on terminals too. */
static int append_shown(struct bytes text, struct buf *ret)
{
    bool utf8 = bytes_is_utf8(text);
    int r = 0;

    for (size_t i = 0; r == 0 && i < text.len; i++) {
        const uint8_t *c = &text.data[i];
        bool c1 = utf8 && is_c1(text, i);
        bool shown = !c1 && *c >= 0x20 && *c != 0x7f && (utf8 || *c < 0x80);

        r = shown ? buf_append(ret, c, 1) : buf_append_char(ret, '?');
        i += c1;
    }
    return r;
}

int issue_chain_top(const STACK_OF(X509) * chain, struct buf *ret)
{
    const X509 *top = sk_X509_value(chain, sk_X509_num(chain) - 1);
    const X509_NAME *name = X509_get_issuer_name(top);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    CLEANUP_ISSUE_DER unsigned char *text = NULL;
    int len;

    if (at < 0)
        return 0;
    len = ASN1_STRING_to_UTF8(
        &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    ERR_clear_error();
    return len < 0 ? 0 : append_shown((struct bytes){ text, (size_t)len }, ret);
}

static int append_octets(const uint8_t *data, int len, struct buf *ret)
{
    return b64url_encode((struct bytes){ data, (size_t)len }, ret);
}

/* The serial number as its DER has it: with the zero octet that keeps a number
 * from being negative. */
static int append_serial(const X509 *cert, struct buf *ret)
{
    CLEANUP_ISSUE_DER unsigned char *der = NULL;
    int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &der);

    /* Tag and length are two octets: a serial number of 128 or more is none. */
    if (len < 3 || len > 2 + 127) {
        ERR_clear_error();
        return ISSUE_CERT_E_INVALID;
    }
    return append_octets(der + 2, len - 2, ret);
}

int issue_cert_ari_id(const X509 *cert, struct buf *ret)
{
    CLEANUP_BUF struct buf id = { 0 };
    AUTHORITY_KEYID *akid =
        X509_get_ext_d2i(cert, NID_authority_key_identifier, NULL, NULL);
    int r = ISSUE_CERT_E_INVALID;

    if (akid && akid->keyid && ASN1_STRING_length(akid->keyid) > 0)
        r = append_octets(ASN1_STRING_get0_data(akid->keyid),
                          ASN1_STRING_length(akid->keyid), &id);
    AUTHORITY_KEYID_free(akid);
    ERR_clear_error();
    if (r == 0)
        r = buf_append_char(&id, '.');
    if (r == 0)
        r = append_serial(cert, &id);
    return r ? r : buf_append(ret, id.data, id.len);
}
