/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "request-support.h"

#include <openssl/x509.h>

#include "acme/evp-key.h"

static void test_parts_are_kept(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    CLEANUP_ACME_REQUEST struct acme_request *req = NULL;

    (void)state;
    assert_null(read_at(
        a, "/acme/new-order", false,
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"*.a.example\"},"
        "{\"value\":\"2001:db8::1\",\"type\":\"ip\"}],"
        "\"profile\":\"tlsserver\",\"replaces\":\"aYhb.AIdl\","
        "\"notBefore\":\"2027-01-01T00:00:00.9Z\","
        "\"notAfter\":\"2027-01-02T00:00:00.9Z\"}",
        &req));
    assert_int_equal(req->op, ACME_OP_ORDER);
    assert_string_equal(req->url, CA "/acme/new-order");
    assert_string_equal(req->nonce, NONCE);
    assert_false(req->by_jwk);
    assert_int_equal(req->identifiers.n, 2);
    assert_string_equal(req->identifiers.items[0].value, "*.a.example");
    assert_int_equal(req->identifiers.items[1].type, IDENTIFIER_IP);
    assert_string_equal(req->profile, "tlsserver");
    assert_string_equal(req->replaces, "aYhb.AIdl");
    assert_int_equal(req->not_before, 1798761600);
    assert_int_equal(req->not_after, 1798761600 + 86400 + 1);
    acme_request_free(TAKE_PTR(req));

    assert_null(read_at(a, NEW_ACCT, true, "{" ONLY "}", &req));
    assert_true(req->by_jwk);
    assert_int_equal(req->not_after, 0);
    assert_null(req->profile);
}

#define P64 "0123456789012345678901234567890123456789012345678901234567890123"

static void test_order_members(void **state)
{
    static const struct {
        const char *members;
        const char *want;
    } cases[] = {
        { "\"profile\":\"p\"", NULL },
        { "\"profile\":\"" P64 "\"", NULL },
        { "\"profile\":\"" P64 "4\"", "bad-value" },
        { "\"profile\":\"\"", "bad-value" },
        { "\"profile\":\"a b\"", "bad-value" },
        { "\"profile\":\"a\x7f\"", "bad-value" },
        { "\"profile\":\"\xc3\xbc\"", "bad-value" },
        { "\"profile\":null", "wrong-type" },
        { "\"Profile\":\"p\"", "unknown-member" },
        { "\"replaces\":\"AA.AA\"", NULL },
        { "\"replaces\":\"\"", "bad-value" },
        { "\"replaces\":\"AA\"", "bad-value" },
        { "\"replaces\":\"AA.\"", "bad-value" },
        { "\"replaces\":\".AA\"", "bad-value" },
        { "\"replaces\":\"AA/AA\"", "bad-value" },
        { "\"replaces\":\"AA.AA.AA\"", "bad-base64url" },
        { "\"replaces\":\"AA.A\"", "bad-base64url" },
        { "\"replaces\":\"AB.AA\"", "bad-base64url" },
        { "\"replaces\":\"AA.AA=\"", "bad-base64url" },
        { "\"replaces\":\"" P64 P64 "." P64 P64 "\"", "bad-value" },
        { "\"notBefore\":\"2027-01-01T00:00:00Z\"", NULL },
        { "\"notAfter\":\"2027-01-01T00:00:00+00:00\"", NULL },
        { "\"notBefore\":\"2027-01-01\"", "bad-time" },
        { "\"notAfter\":\"\"", "bad-time" },
        { "\"notAfter\":1798761600", "wrong-type" },
        { "\"notBefore\":\"2027-01-01T00:00:00Z\","
          "\"notAfter\":\"2027-01-01T00:00:00Z\"",
          "bad-time" },
        { "\"notBefore\":\"2027-01-01T00:00:00Z\","
          "\"notAfter\":\"2027-01-01T00:00:01Z\"",
          NULL },
        { "\"status\":\"ready\"", "unknown-member" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        CLEANUP_BUF struct buf p = { 0 };

        assert_int_equal(buf_printf(&p, "{" ORDER_1 ",%s}", cases[i].members),
                         0);
        assert_outcome(read_at(a, "/acme/new-order", false, buf_str(&p), &req),
                       cases[i].want, cases[i].members);
    }
}

static void test_identifiers_of_orders(void **state)
{
    static const struct {
        const char *list;
        const char *want;
    } cases[] = {
        { "[{\"type\":\"dns\",\"value\":\"a.example\"}]", NULL },
        { "[{\"type\":\"ip\",\"value\":\"192.0.2.1\"}]", NULL },
        { "[]", "no-identifiers" },
        { "{}", "wrong-type" },
        { "[1]", "wrong-type" },
        { "[{}]", "missing-member" },
        { "[{\"type\":\"dns\"}]", "missing-member" },
        { "[{\"value\":\"a.example\"}]", "missing-member" },
        { "[{\"type\":\"dns\",\"value\":1}]", "wrong-type" },
        { "[{\"type\":\"dns\",\"value\":\"a.example\",\"x\":1}]",
          "unknown-member" },
        { "[{\"type\":\"dns\",\"value\":\"a.example\","
          "\"ancestorDomain\":\"example\"}]",
          "unknown-member" },
        { "[{\"type\":\"DNS\",\"value\":\"a.example\"}]", "identifier-type" },
        { "[{\"type\":\"email\",\"value\":\"a@b.example\"}]",
          "identifier-type" },
        { "[{\"type\":\"\",\"value\":\"a.example\"}]", "identifier-type" },
        { "[{\"type\":\"dns\",\"value\":\"\"}]", "bad-dns-name" },
        { "[{\"type\":\"dns\",\"value\":\"*\"}]", "bad-dns-name" },
        { "[{\"type\":\"ip\",\"value\":\"192.0.2.01\"}]", "bad-address" },
        { "[{\"type\":\"ip\",\"value\":\"a.example\"}]", "bad-address" },
        { "[{\"type\":\"ip\",\"value\":\"::ffff:192.0.2.1\"}]", "bad-address" },
        { "[{\"type\":\"dns\",\"value\":\"a.example\"},"
          "{\"type\":\"dns\",\"value\":\"A.example\"}]",
          "bad-dns-name" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        CLEANUP_BUF struct buf p = { 0 };

        assert_int_equal(buf_printf(&p, "{\"identifiers\":%s}", cases[i].list),
                         0);
        assert_outcome(read_at(a, "/acme/new-order", false, buf_str(&p), &req),
                       cases[i].want, cases[i].list);
    }
}

static void test_a_hundred_identifiers(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    for (int n = 100; n <= 101; n++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        CLEANUP_BUF struct buf p = { 0 };

        assert_int_equal(buf_append_str(&p, "{\"identifiers\":["), 0);
        for (int i = 0; i < n; i++)
            assert_int_equal(buf_printf(&p,
                                        "%s{\"type\":\"dns\",\"value\":"
                                        "\"n%d.example\"}",
                                        i ? "," : "", i),
                             0);
        assert_int_equal(buf_append_str(&p, "]}"), 0);
        assert_outcome(read_at(a, "/acme/new-order", false, buf_str(&p), &req),
                       n > 100 ? "too-many-identifiers" : NULL, "names");
        if (req)
            assert_int_equal(req->identifiers.n, 100);
    }
}

static void test_finalize(void **state)
{
    static const struct case_at cases[] = {
        { "/o/1/finalize", "{\"csr\":\"AA\"}", 0, "bad-der" },
        { "/o/1/finalize", "{\"csr\":\"\"}", 0, "bad-der" },
        { "/o/1/finalize", "{\"csr\":\"A\"}", 0, "bad-base64url" },
        { "/o/1/finalize", "{\"csr\":1}", 0, "wrong-type" },
        { "/o/1/finalize", "{\"csr\":\"AA\",\"x\":1}", 0, "unknown-member" },
        { "/o/1/finalize", "{\"csr\":\"AA\",\"status\":\"deactivated\"}", 0,
          "unknown-member" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
    json_t *root = vectors_load("csr.json");
    const json_t *c = json_array_get(json_object_get(root, "cases"), 1);

    (void)state;
    check_cases(a, false, cases, ARRAY_LEN(cases));

    assert_null(read_b64(a, B(vectors_str(c, "protected")),
                         B(vectors_str(c, "payload")), &req));
    assert_int_equal(req->op, ACME_OP_FINALIZE);
    assert_int_equal(req->identifiers.n, 2);
    assert_string_equal(req->identifiers.items[0].value, "example.com");
    assert_string_equal(req->identifiers.items[1].value, "www.example.com");
    assert_int_equal(req->csr.names.n, 0);
    assert_int_equal(req->csr.key_type, CSR_KEY_EC_P256);
    json_decref(root);
}

/* A certificate for revoke.example (CN only), base64url. */
static void certificate_b64(struct buf *ret)
{
    CLEANUP_EVP_KEY EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    uint8_t *der = NULL;
    int len;

    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName,
                               V_ASN1_UTF8STRING,
                               (const uint8_t *)"revoke.example", -1, -1, 0);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    len = i2d_X509(cert, &der);
    assert_int_equal(b64url_encode((struct bytes){ der, (size_t)len }, ret), 0);
    OPENSSL_free(der);
    X509_free(cert);
}

static void test_revoke(void **state)
{
    static const struct case_at cases[] = {
        { "/acme/revoke-cert", "{\"certificate\":\"AA\"}", 0, "bad-der" },
        { "/acme/revoke-cert", "{\"certificate\":\"A\"}", 0, "bad-base64url" },
        { "/acme/revoke-cert", "{\"certificate\":1}", 0, "wrong-type" },
        { "/acme/revoke-cert", "{\"reason\":1}", 0, "missing-member" },
        { "/acme/revoke-cert", "{\"certificate\":\"AA\",\"x\":1}", 0,
          "unknown-member" },
    };
    static const struct {
        const char *reason;
        const char *want;
    } reasons[] = {
        { "0", NULL },
        { "1", NULL },
        { "6", NULL },
        { "8", NULL },
        { "10", NULL },
        { "7", "bad-value" },
        { "11", "bad-value" },
        { "-1", "bad-value" },
        { "1.0", "wrong-type" },
        { "\"1\"", "wrong-type" },
        { "null", "wrong-type" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    CLEANUP_BUF struct buf cert = { 0 };

    (void)state;
    check_cases(a, false, cases, ARRAY_LEN(cases));
    certificate_b64(&cert);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        CLEANUP_BUF struct buf p = { 0 };

        assert_int_equal(buf_printf(&p,
                                    "{\"certificate\":\"%s\",\"reason\":%s}",
                                    buf_str(&cert), reasons[i].reason),
                         0);
        assert_outcome(
            read_at(a, "/acme/revoke-cert", false, buf_str(&p), &req),
            reasons[i].want, reasons[i].reason);
        if (!req)
            continue;
        assert_int_equal(req->op, ACME_OP_REVOKE);
        assert_int_equal(req->identifiers.n, 1);
        assert_string_equal(req->identifiers.items[0].value, "revoke.example");
    }
}

static void test_a_csr_of_16_kib(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    static uint8_t der[CSR_MAX + 1];

    (void)state;
    for (size_t n = CSR_MAX; n <= CSR_MAX + 1; n++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        CLEANUP_BUF struct buf p = { 0 };

        assert_int_equal(buf_append_str(&p, "{\"csr\":\""), 0);
        assert_int_equal(b64url_encode((struct bytes){ der, n }, &p), 0);
        assert_int_equal(buf_append_str(&p, "\"}"), 0);
        assert_outcome(read_at(a, "/o/1", false, buf_str(&p), &req),
                       n > CSR_MAX ? "too-large" : "bad-der", "CSR");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_kept),
        cmocka_unit_test(test_order_members),
        cmocka_unit_test(test_identifiers_of_orders),
        cmocka_unit_test(test_a_hundred_identifiers),
        cmocka_unit_test(test_finalize),
        cmocka_unit_test(test_revoke),
        cmocka_unit_test(test_a_csr_of_16_kib),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
