/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "issue-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

EVP_PKEY *fixture_key(void)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

    assert_non_null(key);
    return key;
}

static void set_name(X509_NAME *name, const char *text)
{
    if (text)
        assert_int_equal(
            X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                       (const unsigned char *)text, -1, -1, 0),
            1);
}

static void add_names(X509 *cert, const char *const *names)
{
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();

    for (; *names; names++) {
        ASN1_IA5STRING *ia5 = ASN1_IA5STRING_new();
        GENERAL_NAME *name = GENERAL_NAME_new();

        assert_int_equal(ASN1_STRING_set(ia5, *names, -1), 1);
        GENERAL_NAME_set0_value(name, GEN_DNS, ia5);
        assert_true(sk_GENERAL_NAME_push(list, name) > 0);
    }
    assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0,
                                       X509V3_ADD_DEFAULT),
                     1);
    GENERAL_NAMES_free(list);
}

static void add_key_id(X509 *cert, const char *hex)
{
    AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();
    long len = 0;
    unsigned char *octets = OPENSSL_hexstr2buf(hex, &len);

    akid->keyid = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(akid->keyid, octets, (int)len), 1);
    assert_int_equal(X509_add1_ext_i2d(cert, NID_authority_key_identifier, akid,
                                       0, X509V3_ADD_DEFAULT),
                     1);
    OPENSSL_free(octets);
    AUTHORITY_KEYID_free(akid);
}

X509 *fixture_cert(const struct fixture_cert *c, EVP_PKEY *key,
                   EVP_PKEY *signer)
{
    X509 *cert = X509_new();
    BIGNUM *serial = NULL;

    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_true(BN_hex2bn(&serial, c->serial_hex ? c->serial_hex : "1") > 0);
    assert_non_null(BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)));
    BN_free(serial);
    set_name(X509_get_subject_name(cert), c->subject);
    set_name(X509_get_issuer_name(cert), c->issuer);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), c->not_before_s));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), c->not_after_s));
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    if (c->names)
        add_names(cert, c->names);
    if (c->key_id_hex)
        add_key_id(cert, c->key_id_hex);
    assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
    return cert;
}

void fixture_pem(X509 *cert, struct buf *ret)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len;

    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    len = BIO_get_mem_data(bio, &data);
    assert_int_equal(buf_append(ret, data, (size_t)len), 0);
    BIO_free(bio);
}
