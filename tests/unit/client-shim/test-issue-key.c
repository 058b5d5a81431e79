/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/ui.h>

#include "acme/csr.h"
#include "client-shim/issue-key.h"

static void test_types_have_the_policy_s_names(void **state)
{
    static const char *const names[] = { "ec-p256", "ec-p384", "rsa-2048",
                                         "rsa-3072", "rsa-4096" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        enum issue_key_type t = issue_key_type_parse(names[i]);

        assert_int_not_equal(t, ISSUE_KEY_UNSET);
        assert_string_equal(issue_key_type_name(t), names[i]);
    }
    assert_int_equal(issue_key_type_parse("ed25519"), ISSUE_KEY_UNSET);
    assert_int_equal(issue_key_type_parse(""), ISSUE_KEY_UNSET);
}

static void test_a_key_survives_its_file(void **state)
{
    static const enum issue_key_type types[] = { ISSUE_KEY_EC_P256,
                                                 ISSUE_KEY_EC_P384,
                                                 ISSUE_KEY_RSA_2048 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        CLEANUP_EVP_KEY EVP_PKEY *made = NULL;
        CLEANUP_EVP_KEY EVP_PKEY *read = NULL;
        CLEANUP_SECRET struct secret *pem = NULL;

        assert_int_equal(issue_key_new(types[i], &made), 0);
        assert_int_equal(issue_key_type_of(made), types[i]);
        assert_int_equal(issue_key_format(made, &pem), 0);
        assert_memory_equal(pem->data, "-----BEGIN PRIVATE KEY-----\n", 28);
        assert_int_equal(issue_key_parse(pem, &read), 0);
        assert_int_equal(EVP_PKEY_eq(made, read), 1);
    }
}

static void test_what_is_no_plain_key_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "hello\n",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP_SECRET struct secret *pem = NULL;
        EVP_PKEY *key = NULL;

        assert_int_equal(secret_new_copy(bytes_from_str(texts[i]), &pem), 0);
        assert_int_equal(issue_key_parse(pem, &key), ISSUE_KEY_E_INVALID);
    }
}

/* Nobody is asked for a passphrase. */
static void test_an_encrypted_key_is_refused(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *made = NULL;
    CLEANUP_SECRET struct secret *pem = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key = NULL;
    char *data = NULL;
    long len;

    (void)state;
    assert_int_equal(issue_key_new(ISSUE_KEY_EC_P256, &made), 0);
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, made, EVP_aes_128_cbc(),
                                                   "pass", 4, NULL, NULL),
                     1);
    len = BIO_get_mem_data(bio, &data);
    assert_int_equal(
        secret_new_copy((struct bytes){ (uint8_t *)data, (size_t)len }, &pem),
        0);
    assert_int_equal(issue_key_parse(pem, &key), ISSUE_KEY_E_INVALID);
    BIO_free(bio);
}

/* Where nothing of it is swapped out, and all of it is wiped. */
static void test_a_private_key_lies_in_the_secure_heap(void **state)
{
    for (int t = 1; t < ISSUE_KEY_COUNT; t++) {
        size_t before = CRYPTO_secure_used();
        CLEANUP_SECRET struct secret *pem = NULL;
        EVP_PKEY *key = NULL;
        EVP_PKEY *read = NULL;

        (void)state;
        assert_int_equal(issue_key_new((enum issue_key_type)t, &key), 0);
        assert_true(CRYPTO_secure_used() > before);
        assert_int_equal(issue_key_format(key, &pem), 0);
        EVP_PKEY_free(key);
        assert_int_equal(CRYPTO_secure_used(), before);
        assert_int_equal(issue_key_parse(pem, &read), 0);
        assert_true(CRYPTO_secure_used() > before);
        EVP_PKEY_free(read);
        assert_int_equal(CRYPTO_secure_used(), before);
    }
}

/* As the daemon will read it. */
static void test_a_request_is_one_that_the_daemon_takes(void **state)
{
    static const enum issue_key_type types[] = { ISSUE_KEY_EC_P256,
                                                 ISSUE_KEY_EC_P384,
                                                 ISSUE_KEY_RSA_2048 };
    static const char *const names[] = { "*.example.com", "example.com" };
    const struct acme_account none = { 0 };
    struct identifiers ids = { 0 };
    struct refusal refusal = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(identifiers_add(&ids, IDENTIFIER_DNS,
                                         bytes_from_str(names[i]), &refusal),
                         0);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        CLEANUP_EVP_KEY EVP_PKEY *key = NULL;
        CLEANUP_BUF struct buf der = { 0 };
        struct csr csr = { 0 };

        assert_int_equal(issue_key_new(types[i], &key), 0);
        assert_int_equal(issue_csr_new(key, &ids, &der), 0);
        if (csr_read(buf_bytes(&der), &none, &csr, &refusal))
            fail_msg("%s: %s", reason_code(refusal.reason), refusal.detail);
        assert_int_equal(csr.names.n, 2);
        assert_null(csr.extensions);
        assert_false(csr.other_subject);
        csr_deinit(&csr);
    }
    identifiers_deinit(&ids);
}

static void test_a_request_is_read_in_both_forms(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *key = NULL;
    CLEANUP_EVP_KEY EVP_PKEY *read = NULL;
    CLEANUP_BUF struct buf der = { 0 };
    CLEANUP_BUF struct buf again = { 0 };
    struct identifiers ids = { 0 };
    struct refusal refusal;
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len;

    (void)state;
    assert_int_equal(identifiers_add(&ids, IDENTIFIER_DNS,
                                     bytes_from_str("example.com"), &refusal),
                     0);
    assert_int_equal(issue_key_new(ISSUE_KEY_EC_P256, &key), 0);
    assert_int_equal(issue_csr_new(key, &ids, &der), 0);
    assert_true(PEM_write_bio(bio, "NEW CERTIFICATE REQUEST", "", der.data,
                              (long)der.len) > 0);
    len = BIO_get_mem_data(bio, &data);
    assert_int_equal(
        issue_csr_der((struct bytes){ (uint8_t *)data, (size_t)len }, &again),
        0);
    assert_true(bytes_eq(buf_bytes(&der), buf_bytes(&again)));
    buf_clear(&again);
    assert_int_equal(issue_csr_der(buf_bytes(&der), &again), 0);
    assert_true(bytes_eq(buf_bytes(&der), buf_bytes(&again)));
    assert_int_equal(issue_csr_key(buf_bytes(&again), &read), 0);
    assert_int_equal(EVP_PKEY_eq(key, read), 1);
    assert_int_equal(issue_csr_der(bytes_from_str("names please"), &again),
                     ISSUE_KEY_E_INVALID);
    assert_int_equal(issue_csr_der(bytes_from_str(""), &again),
                     ISSUE_KEY_E_INVALID);
    identifiers_deinit(&ids);
    BIO_free(bio);
}

static int asked;

static int ask(UI *ui)
{
    (void)ui;
    asked++;
    return 0;
}

/* OpenSSL would ask on the terminal. */
static void test_for_a_request_nobody_is_asked_for_a_password(void **state)
{
    static const char pem[] =
        "-----BEGIN CERTIFICATE REQUEST-----\n"
        "Proc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        "-----END CERTIFICATE REQUEST-----\n";
    UI_METHOD *method = UI_create_method("test");
    CLEANUP_BUF struct buf der = { 0 };

    (void)state;
    (void)UI_method_set_opener(method, ask);
    UI_set_default_method(method);
    assert_int_equal(issue_csr_der(bytes_from_str(pem), &der),
                     ISSUE_KEY_E_INVALID);
    UI_set_default_method(UI_OpenSSL());
    UI_destroy_method(method);
    assert_int_equal(asked, 0);
}

static int set_up(void **state)
{
    (void)state;
    return secrets_init(true, NULL) || issue_key_heap_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_have_the_policy_s_names),
        cmocka_unit_test(test_a_key_survives_its_file),
        cmocka_unit_test(test_what_is_no_plain_key_is_refused),
        cmocka_unit_test(test_an_encrypted_key_is_refused),
        cmocka_unit_test(test_a_private_key_lies_in_the_secure_heap),
        cmocka_unit_test(test_a_request_is_one_that_the_daemon_takes),
        cmocka_unit_test(test_a_request_is_read_in_both_forms),
        cmocka_unit_test(test_for_a_request_nobody_is_asked_for_a_password),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
