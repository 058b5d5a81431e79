/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/json-strict.h"

static const char *read_account(const char *text, struct acme_account **ret)
{
    static struct refusal refusal;

    return outcome(acme_account_read(B(text), ret, &refusal), &refusal);
}

static void test_the_vectors_account(void **state)
{
    json_t *root = vectors_load("requests.json");
    json_t *context = json_object_get(root, "context");
    char *text = json_dumps(json_object_get(context, "account"), 0);
    CLEANUP_ACME_ACCOUNT struct acme_account *a = NULL;

    (void)state;
    assert_null(read_account(text, &a));
    assert_string_equal(a->name, "test");
    assert_string_equal(a->directory_url, "https://ca.example/directory");
    assert_string_equal(a->account_url, ACCOUNT_URL);
    assert_string_equal(a->directory.new_order,
                        "https://ca.example/acme/new-order");
    assert_string_equal(a->directory.key_change,
                        "https://ca.example/acme/key-change");
    assert_null(a->directory.renewal_info);
    assert_int_equal(a->jwk.type, JWK_TYPE_P256);
    assert_string_equal(a->thumbprint,
                        "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    assert_true(a->valid);
    assert_false(a->rotating || a->allow_query || a->allow_http_loopback);
    assert_null(a->origins);
    assert_null(a->challenge_members);
    free(text);
    json_decref(root);
}

static void test_optional_members(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a =
        account_new(REGISTERED ",\"origins\":[\"https://b.example\"],"
                               "\"challenge_members\":[\"attObj\"],"
                               "\"allow_query\":true,"
                               "\"allow_http_loopback\":true,"
                               "\"valid\":false");

    (void)state;
    assert_string_equal(a->origins[0], "https://b.example");
    assert_null(a->origins[1]);
    assert_string_equal(a->challenge_members[0], "attObj");
    assert_null(a->challenge_members[1]);
    assert_true(a->allow_query && a->allow_http_loopback);
    assert_false(a->valid);
}

static void test_not_registered_is_not_valid(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new("");

    (void)state;
    assert_null(a->account_url);
    assert_false(a->valid);
}

#define HEAD                                                                   \
    "{\"name\":\"test\",\"directory_url\":\"https://ca.example/directory\","
#define TAIL ",\"alg\":\"ES256\",\"jwk\":" ACCOUNT_KEY "}"
#define N "\"newNonce\":\"https://ca.example/n\""
#define A "\"newAccount\":\"https://ca.example/a\""
#define O "\"newOrder\":\"https://ca.example/o\""
#define NAO N "," A "," O
#define WITH(more) HEAD "\"directory\":{" NAO "}," more TAIL
#define DIR(members) HEAD "\"directory\":{" members "}" TAIL

static void test_accounts_are_checked(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { DIR(NAO), NULL },
        { DIR(NAO ",\"random\":\"x\",\"meta\":{\"website\":\"y\"}"), NULL },
        { "[]", "wrong-type" },
        { "{", "bad-json" },
        { DIR(A "," O), "missing-member" },
        { DIR(N "," O), "missing-member" },
        { DIR(N "," A), "missing-member" },
        { DIR(NAO ",\"keyChange\":1"), "wrong-type" },
        { DIR(NAO "," O), "duplicate-member" },
        { DIR(NAO ",\"keyChange\":\"https://ca.example/o\""), "bad-value" },
        { DIR(NAO ",\"keyChange\":\"https://ca.example/o/\""), "bad-value" },
        { DIR(NAO ",\"newAuthz\":\"https://ca.example/n\""), "bad-value" },
        { DIR(NAO ",\"revokeCert\":\"https://b.example/r\""),
          "foreign-origin" },
        { DIR(NAO ",\"renewalInfo\":\"https://ca.example/r?\""), "url-query" },
        { DIR(NAO ",\"renewalInfo\":\"ca.example/r\""), "url-scheme" },
        { WITH("\"account_url\":\"https://ca.example/o\""), "bad-value" },
        { WITH("\"account_url\":\"https://b.example/1\""), "foreign-origin" },
        { WITH("\"account_url\":\"https://b.example/1\","
               "\"origins\":[\"https://b.example\"]"),
          NULL },
        { WITH("\"origins\":[1]"), "wrong-type" },
        { WITH("\"origins\":[\"https://b.example/\"]"), "bad-url" },
        { WITH("\"origins\":[\"https://b.example/x\"]"), "bad-url" },
        { WITH("\"origins\":[\"http://127.0.0.1\"]"), "url-scheme" },
        { WITH("\"origins\":[\"http://127.0.0.1\"],"
               "\"allow_http_loopback\":true"),
          NULL },
        { WITH("\"origins\":[\"\"]"), "url-scheme" },
        { WITH("\"origins\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
               "\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]"),
          "too-large" },
        { WITH("\"challenge_members\":[\"attObj\",\"type\"]"), NULL },
        { WITH("\"challenge_members\":[1]"), "wrong-type" },
        { WITH("\"challenge_members\":[\"csr\"]"), "bad-value" },
        { WITH("\"challenge_members\":[\"x\",\"Status\"]"), "bad-value" },
        { WITH("\"challenge_members\":[\"identifiers\"]"), "bad-value" },
        { WITH("\"challenge_members\":[\"\u017ftatus\"]"), "bad-value" },
        { WITH("\"challenge_members\":[\"attObj\",\"attobj\"]"), "bad-value" },
        { WITH("\"valid\":true"), "missing-member" },
        { WITH("\"valid\":1"), "wrong-type" },
        { WITH("\"rotating\":true"), "unknown-member" },
        { HEAD "\"directory\":[]" TAIL, "wrong-type" },
        { "{\"name\":\"x\",\"directory_url\":\"https://ca.example\","
          "\"directory\":{" NAO "}" TAIL,
          "bad-url" },
        { HEAD "\"directory\":{" NAO "},\"alg\":\"ES384\",\"jwk\":" ACCOUNT_KEY
               "}",
          "wrong-alg" },
        { HEAD "\"directory\":{" NAO "},\"alg\":\"none\",\"jwk\":" ACCOUNT_KEY
               "}",
          "wrong-alg" },
        { HEAD "\"directory\":{" NAO "},\"alg\":\"ES256\",\"jwk\":{}}",
          "missing-member" },
        { HEAD "\"directory\":{" NAO "},\"jwk\":" ACCOUNT_KEY "}",
          "missing-member" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACME_ACCOUNT struct acme_account *a = NULL;
        const char *want = cases[i].want;

        assert_outcome(read_account(cases[i].text, &a), want, cases[i].text);
        assert_true(want ? !a : a != NULL);
    }
}

static void test_endpoints_by_purpose(void **state)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = account_new(REGISTERED);
    const struct acme_directory *d = &a->directory;

    (void)state;
    assert_ptr_equal(acme_account_endpoint(a, ACME_ENDPOINT_NEW_NONCE),
                     d->new_nonce);
    assert_ptr_equal(acme_account_endpoint(a, ACME_ENDPOINT_RENEWAL_INFO),
                     d->renewal_info);
    assert_ptr_equal(acme_account_endpoint(a, ACME_ENDPOINT_ACCOUNT),
                     a->account_url);
    assert_null(acme_account_endpoint(a, ACME_ENDPOINT_NONE));
    assert_null(acme_account_endpoint(a, ACME_ENDPOINT_COUNT));
}

static void test_a_ca_s_directory(void **state)
{
    struct acme_directory d = { 0 };
    struct refusal refusal = { 0 };
    int r;

    (void)state;
    r = acme_directory_read(
        B("{" NAO ",\"ZjIO_random\":\"https://community.example/\","
          "\"NewOrder\":1,\"meta\":{\"caaIdentities\":[\"ca.example\"]}}"),
        &d, &refusal);
    assert_outcome(outcome(r, &refusal), NULL, refusal.detail);
    assert_string_equal(d.new_nonce, "https://ca.example/n");
    assert_null(d.key_change);
    acme_directory_deinit(&d);
    assert_null(d.new_nonce);

    r = acme_directory_read(B("{\"newNonce\":null}"), &d, &refusal);
    assert_outcome(outcome(r, &refusal), "wrong-type", "null");
    r = acme_directory_read(B("[]"), &d, &refusal);
    assert_outcome(outcome(r, &refusal), "wrong-type", "array");
    r = acme_directory_read(B("<html>"), &d, &refusal);
    assert_outcome(outcome(r, &refusal), "bad-json", "HTML");
}

static void test_free_takes_null(void **state)
{
    (void)state;
    assert_null(acme_account_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_account),
        cmocka_unit_test(test_optional_members),
        cmocka_unit_test(test_not_registered_is_not_valid),
        cmocka_unit_test(test_accounts_are_checked),
        cmocka_unit_test(test_endpoints_by_purpose),
        cmocka_unit_test(test_a_ca_s_directory),
        cmocka_unit_test(test_free_takes_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
