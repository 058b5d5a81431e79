/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "csr-support.h"

#define KU "2.5.29.15"
#define EKU "2.5.29.37"
#define BC "2.5.29.19"
#define TLSF "1.3.6.1.5.5.7.1.24"
#define SKI "2.5.29.14"
#define OCT16 "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"

/* One extension beside a good subjectAltName, or in its place. */
static void test_extensions_are_closed(void **state)
{
    static const struct {
        struct ext ext;
        const char *want;
    } cases[] = {
        { RAW(KU, "\x03\x02\x07\x80"), NULL },
        { RAW(KU, "\x03\x01\x00"), NULL },
        { RAW(KU, "\x03\x03\x07\xf9\x80"), NULL },
        { RAW(KU, "\x03\x02\x02\x04"), "bad-extension" }, /* keyCertSign */
        { RAW(KU, "\x03\x02\x01\x02"), "bad-extension" }, /* cRLSign */
        { RAW(KU, "\x03\x02\x06\x80"), NULL },
        { RAW(KU, "\x03\x03\x07\x80\x00"), NULL }, /* GnuTLS */
        { RAW(KU, "\x03\x03\x07\x06\x00"), "bad-extension" },
        { RAW(KU, "\x03\x02\x07\x81"), "bad-extension" },
        { RAW(KU, "\x03\x02\x07\x80\x00"), "bad-extension" }, /* trailing */
        { RAW(KU, "\x04\x01\x80"), "bad-extension" },
        { RAW(KU, ""), "bad-extension" },
        { RAW(EKU, "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"), NULL },
        { { "extendedKeyUsage", "serverAuth,codeSigning", { 0 }, false },
          "bad-extension" },
        { { "extendedKeyUsage", "anyExtendedKeyUsage", { 0 }, false },
          "bad-extension" },
        { { "extendedKeyUsage", "1.2.3.4", { 0 }, false }, "bad-extension" },
        { RAW(EKU, "\x30\x0b\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x00"),
          "bad-extension" },
        { RAW(BC, "\x30\x00"), NULL },
        { RAW(BC, "\x30\x03\x01\x01\xff"), "bad-extension" },
        { RAW(BC, "\x30\x03\x01\x01\x00"), "bad-extension" },
        { RAW(BC, "\x30\x03\x02\x01\x00"), "bad-extension" }, /* pathlen */
        { RAW(TLSF, "\x30\x03\x02\x01\x05"), NULL },
        { RAW(TLSF, "\x30\x03\x02\x01\x11"), NULL },
        { RAW(TLSF, "\x30\x03\x02\x01\x06"), "bad-extension" },
        { RAW(TLSF, "\x30\x06\x02\x01\x05\x02\x01\x00"), "bad-extension" },
        { RAW(SKI, "\x04\x01x"), NULL },
        { RAW(SKI, "\x04\x00"), "bad-extension" },
        { RAW(SKI, "\x04\x41xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                   "xxxxxxxxxxxxxxxx"),
          "bad-extension" },
        { SAN("DNS:b.example.com"), "duplicate-extension" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ext exts[] = { SAN_OK, cases[i].ext };
        char what[64];

        snprintf(what, sizeof(what), "case %zu: %s", i, cases[i].ext.oid);
        assert_outcome(
            outcome_of(req_new(test_key, NULL, exts, 2), test_key, "SHA256"),
            cases[i].want, what);
    }
}

static void test_alternative_names(void **state)
{
    static const struct {
        struct ext ext;
        const char *want;
    } cases[] = {
        { SAN("DNS:example.com,DNS:example.com"), NULL },
        { SAN("DNS:*.example.com"), NULL },
        { SAN("IP:192.0.2.1"), NULL },
        { SAN("DNS:Example.com"), "bad-dns-name" },
        { SAN("DNS:example.com."), "bad-dns-name" },
        { SAN("DNS:192.0.2.1"), "bad-dns-name" },
        { SAN("DNS:a.*.example.com"), "bad-dns-name" },
        { SAN("DNS:localhost"), "bad-dns-name" },
        { SAN("DNS:example.com,email:a@example.com"), "san-type" },
        { SAN("URI:https://example.com/"), "san-type" },
        { SAN("RID:1.2.3.4"), "san-type" },
        { SAN("otherName:1.2.3.4;UTF8:example.com"), "san-type" },
        { RAW(SAN_OID, "\x30\x0d\x82\x0b"
                       "a.b\0evil.ne"),
          "bad-dns-name" },
        { RAW(SAN_OID, "\x30\x02\x82\x00"), "bad-dns-name" },
        { RAW(SAN_OID, "\x30\x07\x87\x05\xc0\x00\x02\x01\x00"), "bad-address" },
        { RAW(SAN_OID, "\x30\x02\x87\x00"), "bad-address" },
        { RAW(SAN_OID, "\x30\x12\x87\x10" OCT16), "bad-address" },
        { RAW(SAN_OID, "\x30\x00"), "no-identifiers" },
        { RAW(SAN_OID, "\x82\x03"
                       "a.b"),
          "bad-extension" },
        { RAW(SAN_OID, "\x30\x05\x82\x03"
                       "a.b\x00"),
          "bad-extension" },
        { RAW(SAN_OID, "\x30\x06\x82\x81\x03"
                       "a.b"),
          "bad-extension" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char what[64];

        snprintf(what, sizeof(what), "case %zu", i);
        assert_outcome(outcome_of(req_new(test_key, NULL, &cases[i].ext, 1),
                                  test_key, "SHA256"),
                       cases[i].want, what);
    }
}

static void test_other_extensions_are_listed(void **state)
{
    static const struct ext exts[] = {
        RAW("1.3.6.1.4.1.311.20.2", "\x0c\x01x"),
        SAN_OK,
        RAW("2.5.29.30", "anything"),
    };
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };

    (void)state;
    req_finish(req_new(test_key, NULL, exts, 3), test_key, "SHA256", &der);
    assert_null(read_csr(buf_bytes(&der), &csr));
    assert_string_equal(csr.extensions[0], "1.3.6.1.4.1.311.20.2");
    assert_string_equal(csr.extensions[1], "2.5.29.30");
    assert_null(csr.extensions[2]);
    csr_deinit(&csr);
}

static void test_an_extension_of_any_kind_once(void **state)
{
    static const struct ext exts[] = {
        SAN_OK,
        RAW("1.2.3.4", "a"),
        RAW("1.2.3.5", "a"),
        RAW("1.2.3.4", "b"),
    };

    (void)state;
    assert_outcome(
        outcome_of(req_new(test_key, NULL, exts, 3), test_key, "SHA256"), NULL,
        "two others");
    assert_outcome(
        outcome_of(req_new(test_key, NULL, exts, 4), test_key, "SHA256"),
        "duplicate-extension", "one of them twice");
}

static void test_number_of_extensions(void **state)
{
    struct ext exts[EXTENSIONS_MAX] = { SAN_OK };
    char oids[EXTENSIONS_MAX][16];

    (void)state;
    for (int i = 1; i < EXTENSIONS_MAX; i++) {
        snprintf(oids[i], sizeof(oids[i]), "1.2.3.%d", i);
        exts[i] = (struct ext){ .oid = oids[i], .raw = D("x") };
    }
    assert_outcome(outcome_of(req_new(test_key, NULL, exts, CSR_EXTENSIONS_MAX),
                              test_key, "SHA256"),
                   NULL, "32 extensions");
    assert_outcome(
        outcome_of(req_new(test_key, NULL, exts, CSR_EXTENSIONS_MAX + 1),
                   test_key, "SHA256"),
        "bad-extension", "33 extensions");
}

static void test_an_oid_too_long_to_print(void **state)
{
    char oid[400] = "1.2";
    struct ext exts[] = { SAN_OK, { oid, NULL, D("x"), false } };

    (void)state;
    for (size_t len = 3; len < sizeof(oid) - 4; len += 2)
        strcpy(oid + len, ".3");
    assert_outcome(
        outcome_of(req_new(test_key, NULL, exts, 2), test_key, "SHA256"),
        "bad-extension", "OID");
}

static void test_a_hundred_names(void **state)
{
    (void)state;
    for (int n = 100; n <= 101; n++) {
        CLEANUP_BUF struct buf text = { 0 };
        struct ext ext = { "subjectAltName", NULL, { 0 }, false };

        for (int i = 0; i < n; i++)
            assert_int_equal(
                buf_printf(&text, "%sDNS:n%d.example.com", i ? "," : "", i), 0);
        ext.conf = buf_str(&text);
        assert_outcome(outcome_of(req_new(test_key, "n0.example.com", &ext, 1),
                                  test_key, "SHA256"),
                       n > 100 ? "too-many-identifiers" : NULL, "names");
    }
}

static const uint8_t san_list[] = "\x30\x15\x30\x13\x06\x03\x55\x1d\x11\x04"
                                  "\x0c\x30\x0a\x82\x08"
                                  "evil.net";

static void add_attribute(X509_REQ *req, int nid, int type, const uint8_t *data,
                          int len)
{
    int n = X509_REQ_get_attr_count(req);

    /* OpenSSL adds no attribute twice, but lets it be renamed. */
    assert_int_equal(
        X509_REQ_add1_attr_by_NID(req, NID_pkcs9_contentType, type, data, len),
        1);
    assert_int_equal(
        X509_ATTRIBUTE_set1_object(X509_REQ_get_attr(req, n), OBJ_nid2obj(nid)),
        1);
}

static void test_harmless_attributes(void **state)
{
    X509_REQ *req = req_new(test_key, "example.com", NULL, 0);

    (void)state;
    add_attribute(req, NID_pkcs9_challengePassword, V_ASN1_UTF8STRING,
                  (const uint8_t *)"", 0);
    add_attribute(req, NID_pkcs9_unstructuredName, V_ASN1_UTF8STRING,
                  (const uint8_t *)"x", 1);
    assert_outcome(outcome_of(req, test_key, "SHA256"), NULL, "attributes");
}

static void test_the_request_for_extensions_comes_once(void **state)
{
    static const struct ext san = SAN_OK;
    static const struct {
        int nid, type;
        const char *want;
    } cases[] = {
        { NID_ext_req, V_ASN1_SEQUENCE, "csr-attribute" },
        { NID_ms_ext_req, V_ASN1_SEQUENCE, "csr-attribute" },
        { NID_pkcs9_extCertAttributes, V_ASN1_SEQUENCE, "csr-attribute" },
        { NID_subject_alt_name, V_ASN1_SEQUENCE, "csr-attribute" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        X509_REQ *req = req_new(test_key, NULL, &san, 1);

        add_attribute(req, cases[i].nid, cases[i].type, san_list,
                      sizeof(san_list) - 1);
        assert_outcome(outcome_of(req, test_key, "SHA256"), cases[i].want,
                       OBJ_nid2sn(cases[i].nid));
    }
}

static void test_the_request_for_extensions_has_one_value(void **state)
{
    (void)state;
    for (int n = 0; n <= 2; n++) {
        X509_REQ *req = req_new(test_key, "example.com", NULL, 0);
        X509_ATTRIBUTE *attr = X509_ATTRIBUTE_new();

        X509_ATTRIBUTE_set1_object(attr, OBJ_nid2obj(NID_ext_req));
        for (int i = 0; i < n; i++)
            assert_int_equal(X509_ATTRIBUTE_set1_data(attr, V_ASN1_SEQUENCE,
                                                      san_list,
                                                      sizeof(san_list) - 1),
                             1);
        assert_int_equal(X509_REQ_add1_attr(req, attr), 1);
        X509_ATTRIBUTE_free(attr);
        assert_outcome(outcome_of(req, test_key, "SHA256"),
                       n == 1 ? NULL : "csr-attribute", "values");
    }
}

static void test_the_request_for_extensions_is_a_list(void **state)
{
    static const struct {
        int type;
        struct bytes value;
        const char *want;
    } cases[] = {
        { V_ASN1_SEQUENCE, D("\x30\x00"), NULL },
        { V_ASN1_OCTET_STRING, D("x"), "csr-attribute" },
        { V_ASN1_SET, D("\x31\x00"), "csr-attribute" },
        { V_ASN1_SEQUENCE, D("\x30\x02\x05\x00"), "bad-der" },
        /* critical FALSE, spelled out */
        { V_ASN1_SEQUENCE,
          D("\x30\x0f\x30\x0d\x06\x03\x55\x1d\x13\x01\x01\x00\x04\x02\x30"
            "\x00\x00"),
          "bad-der" },
        { V_ASN1_SEQUENCE,
          D("\x30\x10\x30\x0e\x06\x03\x55\x1d\x13\x01\x01\x00\x04\x04\x30"
            "\x02\x30\x00"),
          "bad-der" },
        { V_ASN1_SEQUENCE,
          D("\x30\x0e\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\x00\x04\x02\x30"
            "\x00"),
          "bad-der" },
        { V_ASN1_SEQUENCE,
          D("\x30\x0e\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30"
            "\x00"),
          NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        X509_REQ *req = req_new(test_key, "example.com", NULL, 0);
        char what[32];

        snprintf(what, sizeof(what), "case %zu", i);
        add_attribute(req, NID_ext_req, cases[i].type, cases[i].value.data,
                      (int)cases[i].value.len);
        assert_outcome(outcome_of(req, test_key, "SHA256"), cases[i].want,
                       what);
    }
}

/* A SET behind a context tag: only its type tells that its order matters. */
static void test_attributes_out_of_order(void **state)
{
    static const uint8_t a[] = "\x30\x11\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01"
                               "\x09\x02\x31\x04\x0c\x02xy"; /* longer */
    static const uint8_t b[] = "\x30\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01"
                               "\x09\x02\x31\x03\x0c\x01x";
    X509_REQ *req = req_new(test_key, "example.com", NULL, 0);
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };
    const size_t a_len = sizeof(a) - 1, b_len = sizeof(b) - 1;

    (void)state;
    add_attribute(req, NID_pkcs9_unstructuredName, V_ASN1_UTF8STRING,
                  (const uint8_t *)"xy", 2);
    add_attribute(req, NID_pkcs9_unstructuredName, V_ASN1_UTF8STRING,
                  (const uint8_t *)"x", 1);
    req_finish(req, test_key, "SHA256", &der);
    assert_null(read_csr(buf_bytes(&der), &csr));
    csr_deinit(&csr);
    for (size_t i = 0; i + a_len + b_len < der.len; i++) {
        if (memcmp(der.data + i, b, b_len) == 0) {
            memcpy(der.data + i, a, a_len);
            memcpy(der.data + i + a_len, b, b_len);
            break;
        }
    }
    assert_outcome(read_csr(buf_bytes(&der), &csr), "bad-der", "order");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extensions_are_closed),
        cmocka_unit_test(test_alternative_names),
        cmocka_unit_test(test_other_extensions_are_listed),
        cmocka_unit_test(test_an_extension_of_any_kind_once),
        cmocka_unit_test(test_number_of_extensions),
        cmocka_unit_test(test_an_oid_too_long_to_print),
        cmocka_unit_test(test_a_hundred_names),
        cmocka_unit_test(test_harmless_attributes),
        cmocka_unit_test(test_the_request_for_extensions_comes_once),
        cmocka_unit_test(test_the_request_for_extensions_has_one_value),
        cmocka_unit_test(test_the_request_for_extensions_is_a_list),
        cmocka_unit_test(test_attributes_out_of_order),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
