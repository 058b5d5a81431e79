/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "csr-support.h"

static void test_all_that_clients_ask_for(void **state)
{
    static const struct ext exts[] = {
        SAN("DNS:example.com,DNS:*.example.com,IP:192.0.2.1,IP:2001:db8::1"),
        { "basicConstraints", "critical,CA:FALSE", { 0 }, false },
        { "keyUsage",
          "critical,digitalSignature,keyEncipherment",
          { 0 },
          false },
        { "extendedKeyUsage", "serverAuth,clientAuth", { 0 }, false },
        { "tlsfeature", "status_request,status_request_v2", { 0 }, false },
        { "2.5.29.14", NULL, D("\x04\x02xy"), false },
    };
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };
    struct jwk jwk;

    (void)state;
    req_finish(req_new(test_key, "example.com", exts, ARRAY_LEN(exts)),
               test_key, "SHA256", &der);
    assert_null(read_csr(buf_bytes(&der), &csr));
    assert_int_equal(csr.names.n, 4);
    assert_string_equal(csr.names.items[0].value, "example.com");
    assert_string_equal(csr.names.items[1].value, "*.example.com");
    assert_string_equal(csr.names.items[2].value, "192.0.2.1");
    assert_int_equal(csr.names.items[2].addr_len, 4);
    assert_string_equal(csr.names.items[3].value, "2001:db8::1");
    assert_int_equal(csr.key_type, CSR_KEY_EC_P256);
    assert_int_equal(csr.rsa_bits, 0);
    assert_false(csr.other_subject);
    assert_null(csr.extensions);

    assert_int_equal(evp_key_to_jwk(test_key, &jwk), 0);
    assert_true(jwk_eq(&csr.key, &jwk));
    csr_deinit(&csr);
    assert_int_equal(csr.names.n, 0);
}

static void test_common_names(void **state)
{
    static const struct {
        const char *cn;
        int type;
        const char *want;
    } cases[] = {
        { "example.com", V_ASN1_UTF8STRING, NULL },
        { "example.com", V_ASN1_PRINTABLESTRING, NULL },
        { "example.com", V_ASN1_IA5STRING, NULL },
        { "*.example.com", V_ASN1_UTF8STRING, NULL },
        { "192.0.2.1", V_ASN1_UTF8STRING, NULL },
        { "2001:db8::1", V_ASN1_UTF8STRING, NULL },
        { "example.com", V_ASN1_T61STRING, "subject-cn" },
        { "example.com", V_ASN1_NUMERICSTRING, "subject-cn" },
        { "e\0x\0.\0c\0o", V_ASN1_BMPSTRING, "subject-cn" },
        { "Example.com", V_ASN1_UTF8STRING, "bad-dns-name" },
        { "example.com ", V_ASN1_UTF8STRING, "bad-dns-name" },
        { "My Server", V_ASN1_UTF8STRING, "bad-dns-name" },
        { "b\xc3\xbc"
          "cher.example",
          V_ASN1_UTF8STRING, "bad-dns-name" },
        { "192.0.2.01", V_ASN1_UTF8STRING, "bad-dns-name" },
        { "2001:DB8::1", V_ASN1_UTF8STRING, "bad-dns-name" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        X509_REQ *req = req_new(test_key, NULL, NULL, 0);
        int len = cases[i].type == V_ASN1_BMPSTRING ? 8 : -1;

        assert_int_equal(X509_NAME_add_entry_by_NID(
                             X509_REQ_get_subject_name(req), NID_commonName,
                             cases[i].type, (const uint8_t *)cases[i].cn, len,
                             -1, 0),
                         1);
        assert_outcome(outcome_of(req, test_key, "SHA256"), cases[i].want,
                       cases[i].cn);
    }
}

static void test_a_nul_in_the_common_name(void **state)
{
    X509_REQ *req = req_new(test_key, NULL, NULL, 0);

    (void)state;
    assert_int_equal(X509_NAME_add_entry_by_NID(
                         X509_REQ_get_subject_name(req), NID_commonName,
                         V_ASN1_UTF8STRING,
                         (const uint8_t *)"a.example\0.evil.net", 19, -1, 0),
                     1);
    assert_outcome(outcome_of(req, test_key, "SHA256"), "bad-dns-name", "NUL");
}

static void test_one_common_name(void **state)
{
    (void)state;
    for (int set = -1; set <= 0; set++) {
        X509_REQ *req = req_new(test_key, "a.example.com", NULL, 0);

        /* In a part of its own, or (-1) in the same. */
        assert_int_equal(X509_NAME_add_entry_by_NID(
                             X509_REQ_get_subject_name(req), NID_commonName,
                             V_ASN1_UTF8STRING,
                             (const uint8_t *)"b.example.com", -1, -1, set),
                         1);
        assert_outcome(outcome_of(req, test_key, "SHA256"), "subject-cn",
                       "two CN");
    }
}

static void test_the_union_of_names_without_repeats(void **state)
{
    static const struct ext san = SAN("DNS:a.example.com,IP:192.0.2.1");
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };

    (void)state;
    req_finish(req_new(test_key, "192.0.2.1", &san, 1), test_key, "SHA256",
               &der);
    assert_null(read_csr(buf_bytes(&der), &csr));
    assert_int_equal(csr.names.n, 2);
    assert_string_equal(csr.names.items[0].value, "192.0.2.1");
    assert_int_equal(csr.names.items[0].type, IDENTIFIER_IP);
    assert_string_equal(csr.names.items[1].value, "a.example.com");
    csr_deinit(&csr);
}

static void test_another_subject_is_noted(void **state)
{
    CLEANUP_BUF struct buf der = { 0 };
    X509_REQ *req = req_new(test_key, "example.com", NULL, 0);
    struct csr csr = { 0 };

    (void)state;
    assert_int_equal(X509_NAME_add_entry_by_txt(
                         X509_REQ_get_subject_name(req), "O", MBSTRING_UTF8,
                         (const uint8_t *)"Example", -1, -1, 0),
                     1);
    req_finish(req, test_key, "SHA256", &der);
    assert_null(read_csr(buf_bytes(&der), &csr));
    assert_true(csr.other_subject);
    csr_deinit(&csr);
}

static EVP_PKEY *key_new(const char *type)
{
    if (strcmp(type, "RSA") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    if (strncmp(type, "ED", 2) == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, type);
    return EVP_EC_gen(type);
}

static void test_key_types(void **state)
{
    static const struct {
        const char *type;
        const char *digest;
        enum csr_key_type want; /* unset: refused */
    } cases[] = {
        { "P-256", "SHA384", CSR_KEY_EC_P256 },
        { "P-384", "SHA384", CSR_KEY_EC_P384 },
        { "P-521", "SHA512", CSR_KEY_EC_P521 },
        { "RSA", "SHA256", CSR_KEY_RSA },
        { "ED25519", NULL, CSR_KEY_ED25519 },
        { "ED448", NULL, CSR_KEY_UNSET },
        { "secp256k1", "SHA256", CSR_KEY_UNSET },
        { "brainpoolP256r1", "SHA256", CSR_KEY_UNSET },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_EVP_KEY EVP_PKEY *key = key_new(cases[i].type);
        CLEANUP_BUF struct buf der = { 0 };
        struct csr csr = { 0 };

        req_finish(req_new(key, "example.com", NULL, 0), key, cases[i].digest,
                   &der);
        assert_outcome(read_csr(buf_bytes(&der), &csr),
                       cases[i].want ? NULL : "bad-key", cases[i].type);
        assert_int_equal(csr.key_type, cases[i].want);
        assert_int_equal(csr.rsa_bits, cases[i].want == CSR_KEY_RSA ? 1024 : 0);
        csr_deinit(&csr);
    }
}

static void test_curves_by_name_and_points_in_full(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *packed = EVP_EC_gen("P-256");
    CLEANUP_EVP_KEY EVP_PKEY *explicit = EVP_EC_gen("P-256");

    (void)state;
    EVP_PKEY_set_utf8_string_param(packed, "point-format", "compressed");
    assert_outcome(
        outcome_of(req_new(packed, "example.com", NULL, 0), packed, "SHA256"),
        "bad-key", "compressed point");
    EVP_PKEY_set_utf8_string_param(explicit, "encoding", "explicit");
    assert_outcome(outcome_of(req_new(explicit, "example.com", NULL, 0),
                              explicit, "SHA256"),
                   "bad-key", "explicit curve");
}

/* A request for a public key made of numbers, signed by another. */
static const char *outcome_of_rsa(unsigned bits, struct bytes e)
{
    struct jwk jwk = { .type = JWK_TYPE_RSA, .n_len = (bits + 7) / 8 };
    CLEANUP_EVP_KEY EVP_PKEY *key = NULL;

    assert_in_range(jwk.n_len, 1, JWK_RSA_MAX);
    jwk.n[0] = (uint8_t)(1 << ((bits - 1) % 8));
    jwk.n[jwk.n_len - 1] |= 1;
    memcpy(jwk.e, e.data, e.len);
    jwk.e_len = e.len;
    assert_int_equal(evp_key_from_jwk(&jwk, &key), 0);
    return outcome_of(req_new(key, "example.com", NULL, 0), test_key, "SHA256");
}

/* The same with more octets than a JWK may have. */
static EVP_PKEY *large_rsa_new(size_t n_len, size_t e_len)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    uint8_t n[600] = { 1 }, e[600] = { 1 };
    OSSL_PARAM params[3];

    n[n_len - 1] = e[e_len - 1] = 1; /* little-endian, as here */
    params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, n_len);
    params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, e_len);
    params[2] = OSSL_PARAM_construct_end();
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params),
                     1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void test_rsa_keys(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *large_n = large_rsa_new(513, 3);
    CLEANUP_EVP_KEY EVP_PKEY *large_e = large_rsa_new(256, 9);
    CLEANUP_EVP_KEY EVP_PKEY *fits = large_rsa_new(256, 8);

    (void)state;
    /* The good ones come as far as the signature. */
    assert_outcome(outcome_of_rsa(4096, (struct bytes)D("\x01\x00\x01")),
                   "bad-signature", "4096 bits");
    assert_outcome(outcome_of_rsa(2048, (struct bytes)D("\x03")),
                   "bad-signature", "exponent 3");
    assert_outcome(
        outcome_of(req_new(fits, "example.com", NULL, 0), test_key, "SHA256"),
        "bad-signature", "exponent of 8 octets");
    assert_outcome(outcome_of_rsa(2048, (struct bytes)D("\x01")), "bad-key",
                   "exponent 1");
    assert_outcome(outcome_of_rsa(2048, (struct bytes)D("\x01\x00\x00")),
                   "bad-key", "even exponent");
    assert_outcome(outcome_of(req_new(large_n, "example.com", NULL, 0),
                              test_key, "SHA256"),
                   "bad-key", "4097 bits");
    assert_outcome(outcome_of(req_new(large_e, "example.com", NULL, 0),
                              test_key, "SHA256"),
                   "bad-key", "exponent of 9 octets");
}

static void test_a_key_of_another_kind(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *pss =
        EVP_PKEY_Q_keygen(NULL, NULL, "RSA-PSS", (size_t)1024);

    (void)state;
    if (!pss) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);

        assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 1024), 1);
        assert_int_equal(EVP_PKEY_generate(ctx, &pss), 1);
        EVP_PKEY_CTX_free(ctx);
    }
    assert_outcome(
        outcome_of(req_new(pss, "example.com", NULL, 0), pss, "SHA256"),
        "bad-key", "RSA-PSS");
}

/* rsaEncryption takes NULL (RFC 3279 section 2.3.1); OpenSSL reads it without.
 */
static void test_a_key_without_its_parameter(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *key = key_new("RSA");
    X509_REQ *req = req_new(key, "example.com", NULL, 0);
    const uint8_t *old;
    uint8_t *octets;
    int len;

    (void)state;
    X509_PUBKEY_get0_param(NULL, &old, &len, NULL,
                           X509_REQ_get_X509_PUBKEY(req));
    octets = OPENSSL_memdup(old, (size_t)len);
    assert_int_equal(X509_PUBKEY_set0_param(X509_REQ_get_X509_PUBKEY(req),
                                            OBJ_nid2obj(NID_rsaEncryption),
                                            V_ASN1_UNDEF, NULL, octets, len),
                     1);
    assert_outcome(outcome_of(req, key, "SHA256"), "bad-key", "no NULL");
}

static void test_a_point_off_its_curve(void **state)
{
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr;

    (void)state;
    req_finish(req_new(test_key, "example.com", NULL, 0), test_key, "SHA256",
               &der);
    for (size_t i = 0; i + 4 < der.len; i++) {
        /* BIT STRING, 66 octets, no unused bits, uncompressed */
        if (memcmp(der.data + i, "\x03\x42\x00\x04", 4) == 0)
            der.data[i + 10] ^= 1;
    }
    assert_outcome(read_csr(buf_bytes(&der), &csr), "bad-key", "point");
}

static void test_signature_algorithms(void **state)
{
    static const struct {
        const char *type, *digest, *want;
    } cases[] = {
        { "P-256", "SHA512", NULL },
        { "RSA", "SHA384", NULL },
        { "P-256", "SHA1", "bad-signature" },
        { "P-256", "SHA224", "bad-signature" },
        { "P-256", "SHA3-256", "bad-signature" },
        { "RSA", "SHA1", "bad-signature" },
        { "RSA", "MD5", "bad-signature" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_EVP_KEY EVP_PKEY *key = key_new(cases[i].type);

        assert_outcome(outcome_of(req_new(key, "example.com", NULL, 0), key,
                                  cases[i].digest),
                       cases[i].want, cases[i].digest);
    }
}

static void test_signature_parameters(void **state)
{
    static const struct {
        const char *type, *digest;
        int nid, param;
    } cases[] = {
        { "P-256", "SHA256", NID_ecdsa_with_SHA256, V_ASN1_NULL },
        { "RSA", "SHA256", NID_sha256WithRSAEncryption, V_ASN1_UNDEF },
        { "ED25519", NULL, NID_ED25519, V_ASN1_NULL },
        { "P-256", "SHA256", NID_sha256, V_ASN1_UNDEF }, /* no signature */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_EVP_KEY EVP_PKEY *key = key_new(cases[i].type);
        X509_REQ *req = req_new(key, "example.com", NULL, 0);
        X509_ALGOR *alg = X509_ALGOR_new();
        CLEANUP_BUF struct buf der = { 0 };
        uint8_t *out = NULL;
        struct csr csr;
        int len;

        assert_true(
            X509_REQ_sign(req, key, cases[i].digest ? EVP_sha256() : NULL) > 0);
        X509_ALGOR_set0(alg, OBJ_nid2obj(cases[i].nid), cases[i].param, NULL);
        X509_REQ_set1_signature_algo(req, alg);
        X509_ALGOR_free(alg);
        len = i2d_X509_REQ(req, &out);
        assert_int_equal(buf_append(&der, out, (size_t)len), 0);
        OPENSSL_free(out);
        X509_REQ_free(req);
        assert_outcome(read_csr(buf_bytes(&der), &csr), "bad-signature",
                       OBJ_nid2sn(cases[i].nid));
    }
}

static void test_the_version(void **state)
{
    static const uint8_t version[] = { 0x02, 0x01, 0x00 };
    CLEANUP_BUF struct buf der = { 0 };
    struct csr csr = { 0 };
    uint8_t *at;

    (void)state;
    req_finish(req_new(test_key, "example.com", NULL, 0), test_key, "SHA256",
               &der);
    /* OpenSSL makes no other. It is looked at before the signature. */
    at = memmem(der.data, der.len, version, sizeof(version));
    assert_non_null(at);
    at[2] = 1;
    assert_outcome(read_csr(buf_bytes(&der), &csr), "bad-der", "v2");
}

static void test_only_a_request_in_der(void **state)
{
    static const struct bytes cases[] = {
        D(""),
        D("x"),
        D("\x30\x00"),
        D("\x30\x80\x00\x00"),
        D("-----BEGIN CERTIFICATE REQUEST-----"),
    };
    struct csr csr;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_outcome(read_csr(cases[i], &csr), "bad-der", "CSR");
}

static void test_16_kib_at_most(void **state)
{
    static uint8_t der[CSR_MAX + 1] = { 0x30, 0x82, 0x3f, 0xfc };
    struct csr csr;

    (void)state;
    assert_outcome(read_csr((struct bytes){ der, CSR_MAX }, &csr), "bad-der",
                   "16 KiB");
    assert_outcome(read_csr((struct bytes){ der, CSR_MAX + 1 }, &csr),
                   "too-large", "16 KiB and 1");
}

static void test_the_accounts_own_key(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *key = EVP_EC_gen("P-384");
    struct jwk other = account->jwk;

    (void)state;
    assert_int_equal(evp_key_to_jwk(key, &account->jwk), 0);
    assert_outcome(
        outcome_of(req_new(key, "example.com", NULL, 0), key, "SHA256"),
        "account-key", "own");
    account->jwk = other;
    assert_outcome(
        outcome_of(req_new(key, "example.com", NULL, 0), key, "SHA256"), NULL,
        "not own");
}

static void test_the_self_signature(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *key = EVP_EC_gen("P-256");

    (void)state;
    assert_outcome(
        outcome_of(req_new(test_key, "example.com", NULL, 0), key, "SHA256"),
        "bad-signature", "by another key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_clients_ask_for),
        cmocka_unit_test(test_common_names),
        cmocka_unit_test(test_a_nul_in_the_common_name),
        cmocka_unit_test(test_one_common_name),
        cmocka_unit_test(test_the_union_of_names_without_repeats),
        cmocka_unit_test(test_another_subject_is_noted),
        cmocka_unit_test(test_key_types),
        cmocka_unit_test(test_curves_by_name_and_points_in_full),
        cmocka_unit_test(test_rsa_keys),
        cmocka_unit_test(test_a_key_of_another_kind),
        cmocka_unit_test(test_a_key_without_its_parameter),
        cmocka_unit_test(test_a_point_off_its_curve),
        cmocka_unit_test(test_signature_algorithms),
        cmocka_unit_test(test_signature_parameters),
        cmocka_unit_test(test_the_version),
        cmocka_unit_test(test_only_a_request_in_der),
        cmocka_unit_test(test_16_kib_at_most),
        cmocka_unit_test(test_the_accounts_own_key),
        cmocka_unit_test(test_the_self_signature),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
