/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "request-support.h"

static const char *const guardian_only[] = {
    "deactivate-authz", "deactivate-account", "deactivate-account-variant",
    "update-contact",   "key-change",
};

/* The verdict as far as reading goes: a policy denies the rest. */
static void check_vector(const struct acme_account *account, const json_t *c)
{
    CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
    struct refusal refusal = { 0 };
    const char *id = vectors_str(c, "id");
    const char *verdict = vectors_str(c, "verdict");
    int r = acme_request_read(account, B(vectors_str(c, "protected")),
                              B(vectors_str(c, "payload")), &req, &refusal);

    assert_in_range(r, 0, REFUSED);
    if (strcmp(verdict, "malformed") == 0) {
        if (!r || reason_kind(refusal.reason) != REASON_KIND_MALFORMED)
            fail_msg("%s: %s, want malformed", id,
                     r ? reason_code(refusal.reason) : "read");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(guardian_only); i++) {
        if (strcmp(id, guardian_only[i]) == 0) {
            assert_outcome(outcome(r, &refusal), "guardian-only", id);
            return;
        }
    }
    assert_outcome(outcome(r, &refusal), NULL, id);
    assert_int_not_equal(req->op, ACME_OP_UNSET);
}

static void check_vectors(const char *file, size_t n)
{
    json_t *root = vectors_load(file);
    char *text = json_dumps(
        json_object_get(json_object_get(root, "context"), "account"), 0);
    CLEANUP_ACME_ACCOUNT struct acme_account *account = NULL;
    struct refusal refusal;
    size_t i;
    json_t *c;

    assert_int_equal(acme_account_read(B(text), &account, &refusal), 0);
    json_array_foreach(json_object_get(root, "cases"), i, c)
        check_vector(account, c);
    assert_int_equal(i, n);
    free(text);
    json_decref(root);
}

static void test_request_vectors(void **state)
{
    (void)state;
    check_vectors("requests.json", 54);
}

static void test_csr_vectors(void **state)
{
    (void)state;
    check_vectors("csr.json", 17);
}

static void test_operations_by_shape_and_url(void **state)
{
    static const struct case_at cases[] = {
        { "/acme/order/1", "", ACME_OP_FETCH, NULL },
        { "/acct/123", "", ACME_OP_FETCH, NULL },
        { "/acct/123", "{}", ACME_OP_FETCH, NULL },
        { "/acct/123", "{\"onlyReturnExisting\":true}", ACME_OP_FETCH, NULL },
        { "/acct/123/orders", "", ACME_OP_FETCH, NULL },
        { "/acct/124", "", ACME_OP_FETCH, NULL },
        { "/acme/order/1/", "", ACME_OP_FETCH, NULL },
        { "/acme/chall/1", "{}", ACME_OP_CHALLENGE, NULL },
        { "/acme/chall/1", " {\n} ", ACME_OP_CHALLENGE, NULL },
        { "/acme/new-order", "{" ORDER_1 "}", ACME_OP_ORDER, NULL },
        /* escapes in names and values are read alike by all */
        { "/acme/new-order",
          "{\"identi\\u0066iers\":[{\"type\":\"d\\u006es\",\"value\":"
          "\"a.ex\\u0061mple\"}]}",
          ACME_OP_ORDER, NULL },
        /* POST-as-GET of an endpoint */
        { "/acme/new-nonce", "", 0, "url-payload-mismatch" },
        { "/acme/new-order", "", 0, "url-payload-mismatch" },
        { "/acme/new-authz", "", 0, "url-payload-mismatch" },
        { "/acme/revoke-cert", "", 0, "url-payload-mismatch" },
        { "/acme/key-change", "", 0, "url-payload-mismatch" },
        { "/acme/renewal-info", "", 0, "url-payload-mismatch" },
        { "/acme/new-nonce", "{}", 0, "url-payload-mismatch" },
        { "/acme/renewal-info", "{}", 0, "url-payload-mismatch" },
        /* an endpoint or the account but for the last slash */
        { "/acme/new-order/", "", 0, "bad-url" },
        { "/acme/new-order/", "{}", 0, "bad-url" },
        { "/acct/123/", "{}", 0, "bad-url" },
        /* payloads of other operations */
        { "/acme/order/1", "{" ORDER_1 "}", 0, "url-payload-mismatch" },
        { "/acme/order/1", "{\"certificate\":\"AA\"}", 0,
          "url-payload-mismatch" },
        { "/acme/order/1", "{\"onlyReturnExisting\":true}", 0,
          "url-payload-mismatch" },
        { "/acme/order/1", "{\"identifier\":{}}", 0, "url-payload-mismatch" },
        { "/acme/order/1",
          "{\"protected\":\"\",\"payload\":\"\",\"signature\":\"\"}", 0,
          "url-payload-mismatch" },
        { "/acme/order/1", "{\"externalAccountBinding\":{}}", 0,
          "url-payload-mismatch" },
        { "/acme/new-order", "{\"csr\":\"AA\"}", 0, "unknown-member" },
        { "/acme/new-order", "{\"status\":\"deactivated\"}", 0,
          "unknown-member" },
        { "/acme/new-order", "{}", 0, "missing-member" },
        { "/acme/revoke-cert", "{}", 0, "missing-member" },
        { "/acme/revoke-cert", "{\"csr\":\"AA\"}", 0, "unknown-member" },
        { "/acct/123", "{\"csr\":\"AA\"}", 0, "unknown-member" },
        { "/acct/123", "{" ORDER_1 "}", 0, "unknown-member" },
        { "/acct/123", "{\"Status\":\"deactivated\"}", 0, "unknown-member" },
        { "/acct/123", "{\"onlyReturnExisting\":false}", 0, "bad-value" },
        { "/acct/123", "{\"onlyReturnExisting\":1}", 0, "wrong-type" },
        { "/acme/chall/1", "{\"token\":\"x\"}", 0, "unknown-member" },
        { "/acme/chall/1", "{\"Csr\":\"x\"}", 0, "unknown-member" },
        /* no object */
        { "/acme/chall/1", "[]", 0, "wrong-type" },
        { "/acme/new-order", "[{}]", 0, "wrong-type" },
        { "/acme/chall/1", "null", 0, "bad-json" },
        { "/acme/chall/1", "\"\"", 0, "bad-json" },
        { "/acme/chall/1", " ", 0, "bad-json" },
        { "/acme/chall/1", "{}{}", 0, "bad-json" },
        { "/acme/chall/1", "{\"a\":[[[[[[[[]]]]]]]]}", 0, "too-deep" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    check_cases(a, false, cases, ARRAY_LEN(cases));
}

static void test_what_is_the_guardians_own(void **state)
{
    static const struct case_at cases[] = {
        { "/acct/123", "{\"status\":\"deactivated\"}", 0, "guardian-only" },
        { "/acct/123", "{\"contact\":[]}", 0, "guardian-only" },
        { "/acct/123", "{\"termsOfServiceAgreed\":true}", 0, "guardian-only" },
        { "/acct/123", "{\"onlyReturnExisting\":true,\"contact\":[]}", 0,
          "guardian-only" },
        { "/acct/0123", "{\"status\":\"deactivated\"}", 0, "guardian-only" },
        { "/acme/authz/1", "{\"status\":\"deactivated\"}", 0, "guardian-only" },
        { "/acct/0123", "{\"contact\":[]}", 0, "guardian-only" },
        { "/acct/0123", "{\"termsOfServiceAgreed\":true}", 0, "guardian-only" },
        { "/acme/authz/1", "{\"status\":1}", 0, "wrong-type" },
        { "/acme/authz/1", "{\"status\":\"deactivated\",\"x\":1}", 0,
          "unknown-member" },
        { "/acme/key-change",
          "{\"protected\":\"\",\"payload\":\"\",\"signature\":\"\"}", 0,
          "guardian-only" },
        { "/acme/key-change", "{}", 0, "missing-member" },
        { "/acme/new-authz", "{\"identifier\":{}}", 0, "guardian-only" },
        { "/acme/new-authz", "{}", 0, "missing-member" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    check_cases(a, false, cases, ARRAY_LEN(cases));
}

static void test_lookup(void **state)
{
    static const struct case_at cases[] = {
        { NEW_ACCT, "{" ONLY "}", ACME_OP_LOOKUP, NULL },
        { NEW_ACCT, "{}", ACME_OP_LOOKUP, NULL },
        { NEW_ACCT, "{\"termsOfServiceAgreed\":true}", ACME_OP_LOOKUP, NULL },
        { NEW_ACCT,
          "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:a@b.example\"]"
          "}",
          ACME_OP_LOOKUP, NULL },
        { NEW_ACCT, "{\"onlyReturnExisting\":false}", ACME_OP_LOOKUP, NULL },
        { NEW_ACCT, "{" ONLY ",\"externalAccountBinding\":{}}", 0,
          "guardian-only" },
        { NEW_ACCT, "{\"contact\":[1]}", 0, "wrong-type" },
        { NEW_ACCT, "{\"contact\":null}", 0, "wrong-type" },
        { NEW_ACCT, "{\"onlyReturnExisting\":\"true\"}", 0, "wrong-type" },
        { NEW_ACCT, "{" ONLY ",\"status\":\"valid\"}", 0, "unknown-member" },
        { NEW_ACCT, "{" ONLY ",\"OnlyReturnExisting\":false}", 0,
          "unknown-member" },
        { NEW_ACCT, "", 0, "url-payload-mismatch" },
        { NEW_ACCT "/", "{" ONLY "}", 0, "bad-url" },
        { "/acme/new-order", "{" ORDER_1 "}", 0, "jwk-not-here" },
        { "/acme/revoke-cert", "{\"certificate\":\"AA\"}", 0, "jwk-not-here" },
        { "/acme/order/1", "", 0, "jwk-not-here" },
        { "/acct/123", "", 0, "jwk-not-here" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    CLEANUP_ACME_REQUEST struct acme_request *req = NULL;

    (void)state;
    check_cases(a, true, cases, ARRAY_LEN(cases));
    assert_outcome(read_at(a, NEW_ACCT, false, "{" ONLY "}", &req), "wrong-kid",
                   "newAccount by kid");
}

static void test_lookup_needs_a_valid_account(void **state)
{
    static const struct case_at cases[] = {
        { NEW_ACCT, "{" ONLY "}", 0, "guardian-only" },
        { NEW_ACCT, "{\"termsOfServiceAgreed\":true}", 0, "guardian-only" },
        { NEW_ACCT, "{\"status\":\"x\"}", 0, "unknown-member" },
    };
    static const struct case_at by_kid[] = {
        { "/acme/order/1", "", 0, "wrong-kid" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *none = account_new("");
    CLEANUP_ACME_ACCOUNT struct acme_account *gone =
        account_new(REGISTERED ",\"valid\":false");

    (void)state;
    check_cases(none, true, cases, ARRAY_LEN(cases));
    check_cases(gone, true, cases, ARRAY_LEN(cases));
    check_cases(none, false, by_kid, ARRAY_LEN(by_kid));
}

static void test_lookup_during_a_rotation(void **state)
{
    static const struct case_at cases[] = {
        { NEW_ACCT, "{" ONLY "}", ACME_OP_LOOKUP, NULL },
        { NEW_ACCT, "{" ONLY ",\"contact\":[]}", ACME_OP_LOOKUP, NULL },
        { NEW_ACCT, "{}", 0, "guardian-only" },
        { NEW_ACCT, "{\"onlyReturnExisting\":false}", 0, "guardian-only" },
        { NEW_ACCT, "{\"termsOfServiceAgreed\":true}", 0, "guardian-only" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    a->rotating = true;
    check_cases(a, true, cases, ARRAY_LEN(cases));
}

static void test_listed_challenge_members(void **state)
{
    static const struct case_at cases[] = {
        { "/c/1", "{\"attObj\":\"x\"}", ACME_OP_CHALLENGE, NULL },
        { "/c/1", "{\"attObj\":1}", ACME_OP_CHALLENGE, NULL },
        { "/c/1", "{\"attObj\":true,\"other\":\"x\"}", ACME_OP_CHALLENGE,
          NULL },
        { "/c/1", "{\"attObj\":{}}", 0, "wrong-type" },
        { "/c/1", "{\"attObj\":[]}", 0, "wrong-type" },
        { "/c/1", "{\"attObj\":null}", 0, "wrong-type" },
        { "/c/1", "{\"attObj\":1.5}", 0, "wrong-type" },
        { "/c/1", "{\"attobj\":\"x\"}", 0, "unknown-member" },
        { "/c/1", "{\"attObj\":\"x\",\"AttObj\":\"y\"}", 0, "unknown-member" },
        { "/c/1", "{\"attObj\":\"x\",\"csr\":\"AA\"}", 0, "unknown-member" },
        { "/acme/new-order", "{\"attObj\":\"x\"}", 0, "unknown-member" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a =
        account_new(REGISTERED ",\"challenge_members\":[\"attObj\",\"other\"]");

    (void)state;
    check_cases(a, false, cases, ARRAY_LEN(cases));
}

#define HEADER(alg, nonce, url, key)                                           \
    "{\"alg\":" alg ",\"nonce\":" nonce ",\"url\":" url "," key "}"
#define ALG "\"ES256\""
#define NON "\"" NONCE "\""
#define URL "\"" CA "/acme/order/1\""
#define ACCT "\"" CA NEW_ACCT "\""
#define JWK(x, y)                                                              \
    "\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\"}"
#define X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"

static void test_the_header_is_closed(void **state)
{
    static const struct {
        const char *header;
        const char *want;
    } cases[] = {
        { HEADER(ALG, NON, URL, KID), NULL },
        { "{" KID ",\"url\":" URL ",\"nonce\":" NON ",\"alg\":" ALG "}", NULL },
        { HEADER("\"none\"", NON, URL, KID), "wrong-alg" },
        { HEADER("\"\"", NON, URL, KID), "wrong-alg" },
        { HEADER("\"es256\"", NON, URL, KID), "wrong-alg" },
        { HEADER("\"ES384\"", NON, URL, KID), "wrong-alg" },
        { HEADER("null", NON, URL, KID), "wrong-type" },
        { HEADER(ALG, "\"\"", URL, KID), "bad-nonce" },
        { HEADER(ALG, "\"a+b\"", URL, KID), "bad-nonce" },
        { HEADER(ALG, "\"ab=\"", URL, KID), "bad-nonce" },
        { HEADER(ALG, "\"\xc3\xbc\"", URL, KID), "bad-nonce" },
        { HEADER(ALG, "\"a\"", URL, KID), NULL }, /* not decoded */
        { HEADER(ALG, "7", URL, KID), "wrong-type" },
        { HEADER(ALG, NON, "\"\"", KID), "url-scheme" },
        { HEADER(ALG, NON, "\"/acme/order/1\"", KID), "url-scheme" },
        { HEADER(ALG, NON, "\"" CA "/a?b\"", KID), "url-query" },
        { HEADER(ALG, NON, "\"" CA ":8443/a\"", KID), "foreign-origin" },
        { HEADER(ALG, NON, "\"" CA ":443/a\"", KID), "bad-url" },
        { HEADER(ALG, NON, URL, "\"kid\":\"\""), "wrong-kid" },
        { HEADER(ALG, NON, URL, "\"kid\":\"" ACCOUNT_URL "/\""), "wrong-kid" },
        { HEADER(ALG, NON, URL, "\"kid\":1"), "wrong-type" },
        { HEADER(ALG, NON, URL, "\"Kid\":\"" ACCOUNT_URL "\""),
          "unknown-member" },
        { HEADER(ALG, NON, URL, KID ",\"typ\":\"JWT\""), "unknown-member" },
        { HEADER(ALG, NON, URL, KID ",\"b64\":false"), "unknown-member" },
        { HEADER(ALG, NON, URL, KID ",\"jwk\":{}"), "kid-and-jwk" },
        { HEADER(ALG, NON, URL, KID ",\"jwk\":null"), "wrong-type" },
        { HEADER(ALG, NON, ACCT, JWK(Y, Y)), "wrong-jwk" },
        { HEADER(ALG, NON, ACCT, JWK(X, X)), "wrong-jwk" },
        { HEADER(ALG, NON, ACCT, "\"jwk\":{}"), "missing-member" },
        { HEADER(ALG, NON, ACCT,
                 "\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X
                 "\",\"y\":\"" Y "\",\"use\":\"sig\"}"),
          "unknown-member" },
        { HEADER(ALG, NON, ACCT, "\"jwk\":\"" X "\""), "wrong-type" },
        { "{\"nonce\":" NON ",\"url\":" URL "," KID "}", "missing-member" },
        { "{\"alg\":" ALG ",\"url\":" URL "," KID "}", "missing-member" },
        { "{\"alg\":" ALG ",\"nonce\":" NON "," KID "}", "missing-member" },
        { "{\"alg\":" ALG ",\"nonce\":" NON ",\"url\":" URL "}",
          "missing-member" },
        { "[]", "wrong-type" },
        { "{", "bad-json" },
        { "", "bad-json" },
    };
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;

        assert_outcome(read_text(a, cases[i].header, "", &req), cases[i].want,
                       cases[i].header);
    }
}

static void test_nonces_of_1_to_256(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);

    (void)state;
    for (int n = 255; n <= 257; n++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        CLEANUP_BUF struct buf h = { 0 };

        assert_int_equal(buf_printf(&h,
                                    "{\"alg\":\"ES256\",\"nonce\":\"%0*d\","
                                    "\"url\":" URL "," KID "}",
                                    n, 0),
                         0);
        assert_outcome(read_text(a, buf_str(&h), "", &req),
                       n > 256 ? "bad-nonce" : NULL, "nonce");
    }
}

static void test_requests_of_64_kib(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
    static uint8_t text[REQUEST_MAX + 1];
    static const struct {
        size_t protected, payload;
        const char *want;
    } cases[] = {
        { REQUEST_MAX - 1, 0, "bad-json" },
        { REQUEST_MAX, 0, "too-large" },
        { 12, REQUEST_MAX - 13, "bad-json" },
        { 12, REQUEST_MAX - 12, "too-large" },
        { SIZE_MAX, 1, "too-large" },
        { 12, SIZE_MAX, "too-large" },
    };

    (void)state;
    memset(text, 'A', sizeof(text));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes protected = { text, cases[i].protected };
        struct bytes payload = { text, cases[i].payload };

        assert_outcome(read_b64(a, protected, payload, &req), cases[i].want,
                       "length");
    }
}

static void test_names_of_operations(void **state)
{
    (void)state;
    for (unsigned i = 1; i < ACME_OP_COUNT; i++) {
        const char *name = acme_op_name((enum acme_op)i);

        assert_int_equal(acme_op_parse(name), i);
    }
    assert_string_equal(acme_op_name(ACME_OP_ORDER), "order");
    assert_string_equal(acme_op_name(ACME_OP_UNSET), "unset");
    assert_string_equal(acme_op_name((enum acme_op)99), "unset");
    assert_int_equal(acme_op_parse("unset"), ACME_OP_UNSET);
    assert_int_equal(acme_op_parse("Order"), ACME_OP_UNSET);
}

static void test_what_is_composed_is_read(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    CLEANUP_ACME_ACCOUNT struct acme_account *none = account_new("");

    (void)state;
    for (int by_jwk = 0; by_jwk <= 1; by_jwk++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        CLEANUP_BUF struct buf h = { 0 };

        assert_int_equal(acme_protected(a, by_jwk, B(NONCE),
                                        B(by_jwk ? CA NEW_ACCT : CA "/c/1"),
                                        &h),
                         0);
        assert_null(read_b64(a, buf_bytes(&h), B("e30"), &req));
        assert_string_equal(req->nonce, NONCE);
        assert_int_equal(req->by_jwk, by_jwk);
    }
    for (int by_jwk = 0; by_jwk <= 1; by_jwk++) {
        CLEANUP_BUF struct buf h = { 0 };

        assert_int_equal(
            acme_protected(none, by_jwk, B(NONCE), B(CA "/c/1"), &h),
            by_jwk ? 0 : -EINVAL);
    }
}

static void test_free_takes_null(void **state)
{
    (void)state;
    assert_null(acme_request_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_vectors),
        cmocka_unit_test(test_csr_vectors),
        cmocka_unit_test(test_operations_by_shape_and_url),
        cmocka_unit_test(test_what_is_the_guardians_own),
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_lookup_needs_a_valid_account),
        cmocka_unit_test(test_lookup_during_a_rotation),
        cmocka_unit_test(test_listed_challenge_members),
        cmocka_unit_test(test_the_header_is_closed),
        cmocka_unit_test(test_nonces_of_1_to_256),
        cmocka_unit_test(test_requests_of_64_kib),
        cmocka_unit_test(test_names_of_operations),
        cmocka_unit_test(test_what_is_composed_is_read),
        cmocka_unit_test(test_free_takes_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
