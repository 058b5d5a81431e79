/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "csr-support.h"

/* Certificates */

static X509 *cert_new(const char *cn, const struct ext *exts, size_t n)
{
    X509 *cert = X509_new();

    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    if (cn)
        add_cn(X509_get_subject_name(cert), cn, V_ASN1_UTF8STRING);
    for (size_t i = 0; i < n; i++) {
        X509_EXTENSION *ext = ext_new(&exts[i]);

        assert_int_equal(X509_add_ext(cert, ext, -1), 1);
        X509_EXTENSION_free(ext);
    }
    assert_int_equal(X509_set_pubkey(cert, test_key), 1);
    return cert;
}

static void cert_finish(X509 *cert, struct buf *ret)
{
    uint8_t *der = NULL;
    int len;

    assert_true(X509_sign(cert, test_key, EVP_sha256()) > 0);
    len = i2d_X509(cert, &der);
    assert_int_equal(buf_append(ret, der, (size_t)len), 0);
    OPENSSL_free(der);
    X509_free(cert);
}

static const char *read_cert(struct bytes der, struct csr *ret)
{
    static struct refusal refusal;
    int r = certificate_read(der, ret, &refusal);

    assert_in_range(r, 0, REFUSED);
    return r ? reason_code(refusal.reason) : NULL;
}

static void test_names_of_a_certificate(void **state)
{
    static const struct ext exts[] = {
        { "basicConstraints", "critical,CA:TRUE", { 0 }, false },
        RAW("1.2.3.4", "anything"),
        SAN("DNS:a.example.com,IP:192.0.2.1"),
    };
    X509 *cert = cert_new("b.example.com", exts, 3);
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };

    (void)state;
    assert_int_equal(X509_NAME_add_entry_by_txt(
                         X509_get_subject_name(cert), "O", MBSTRING_UTF8,
                         (const uint8_t *)"Example", -1, -1, 0),
                     1);
    cert_finish(cert, &der);
    assert_null(read_cert(buf_bytes(&der), &csr));
    assert_int_equal(csr.names.n, 3);
    assert_string_equal(csr.names.items[0].value, "b.example.com");
    assert_string_equal(csr.names.items[1].value, "a.example.com");
    assert_string_equal(csr.names.items[2].value, "192.0.2.1");
    assert_int_equal(csr.key_type, CSR_KEY_UNSET);
    assert_false(csr.other_subject);
    assert_null(csr.extensions);
    csr_deinit(&csr);
}

static void test_certificates_are_read_closed(void **state)
{
    static const struct {
        const char *cn;
        struct ext exts[2];
        size_t n;
        const char *want;
    } cases[] = {
        { "example.com", { SAN_OK }, 0, NULL },
        { NULL, { SAN_OK }, 1, NULL },
        { NULL, { SAN_OK }, 0, "no-identifiers" },
        { NULL, { RAW("1.2.3.4", "x") }, 1, "no-identifiers" },
        { NULL,
          { SAN_OK, SAN("DNS:b.example.com") },
          2,
          "duplicate-extension" },
        { NULL, { SAN("email:a@example.com") }, 1, "san-type" },
        { NULL, { SAN("DNS:EXAMPLE.com") }, 1, "bad-dns-name" },
        { NULL, { RAW(SAN_OID, "\x30\x81\x00") }, 1, "bad-extension" },
        { "My CA", { SAN_OK }, 1, "bad-dns-name" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf der = { 0 };
        struct csr csr = { 0 };
        char what[32];

        snprintf(what, sizeof(what), "case %zu", i);
        cert_finish(cert_new(cases[i].cn, cases[i].exts, cases[i].n), &der);
        assert_outcome(read_cert(buf_bytes(&der), &csr), cases[i].want, what);
        csr_deinit(&csr);
    }
}

static void test_only_a_certificate_in_der(void **state)
{
    static uint8_t large[CSR_MAX + 1];
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };

    (void)state;
    assert_outcome(read_cert((struct bytes)D("\x30\x00"), &csr), "bad-der",
                   "sequence");
    assert_outcome(read_cert((struct bytes)D("\x30\x80\x00\x00"), &csr),
                   "bad-der", "BER");
    assert_outcome(read_cert((struct bytes){ large, sizeof(large) }, &csr),
                   "too-large", "16 KiB and 1");
    cert_finish(cert_new("example.com", NULL, 0), &der);
    assert_int_equal(buf_append_char(&der, 0), 0);
    assert_outcome(read_cert(buf_bytes(&der), &csr), "bad-der", "trailing");
}

/* issuerUniqueID: a BIT STRING behind a context tag, unused bits set or not. */
static void test_a_value_that_only_its_type_explains(void **state)
{
    static const uint8_t ids[][4] = { { 0x81, 2, 7, 0x80 },
                                      { 0x81, 2, 7, 0x81 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        CLEANUP_BUF struct buf der = { 0 };
        CLEANUP_BUF struct buf with = { 0 };
        struct csr csr = { 0 };
        size_t tbs_end;

        cert_finish(cert_new("example.com", NULL, 0), &der);
        /* 30 82 hh ll 30 81 ll ... with the tbs below 256 octets */
        assert_int_equal(der.data[1], 0x82);
        assert_int_equal(der.data[5], 0x81);
        tbs_end = 7u + der.data[6];
        assert_int_equal(buf_append(&with, der.data, tbs_end), 0);
        assert_int_equal(buf_append(&with, ids[i], 4), 0);
        assert_int_equal(
            buf_append(&with, der.data + tbs_end, der.len - tbs_end), 0);
        with.data[6] = (uint8_t)(with.data[6] + 4);
        with.data[3] = (uint8_t)(with.data[3] + 4);
        assert_outcome(read_cert(buf_bytes(&with), &csr),
                       i == 0 ? NULL : "bad-der", "issuerUniqueID");
        csr_deinit(&csr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_a_certificate),
        cmocka_unit_test(test_certificates_are_read_closed),
        cmocka_unit_test(test_only_a_certificate_in_der),
        cmocka_unit_test(test_a_value_that_only_its_type_explains),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
