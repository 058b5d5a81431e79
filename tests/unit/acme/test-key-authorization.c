/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/key-authorization.h"

static void test_vectors(void **state)
{
    json_t *root = vectors_load("key-authorizations.json");
    size_t i, n = 0;
    json_t *c;

    (void)state;
    json_array_foreach(json_object_get(root, "key_authorizations"), i, c)
    {
        struct key_authorization ka = { 0 };
        struct refusal refusal;
        char hex[65] = "";

        assert_int_equal(key_authorization_new(B(vectors_str(c, "token")),
                                               vectors_str(c, "thumbprint"),
                                               &ka, &refusal),
                         0);
        assert_string_equal(ka.text, vectors_str(c, "key_authorization"));
        assert_string_equal(ka.dns01, vectors_str(c, "dns01"));
        for (size_t j = 0; j < 32; j++)
            snprintf(hex + 2 * j, 3, "%02x", ka.tls_alpn01[j]);
        assert_string_equal(hex, vectors_str(c, "tls_alpn01_hex"));
        key_authorization_deinit(&ka);
        assert_null(ka.text);
        n++;
    }
    json_array_foreach(json_object_get(root, "dns_account_01"), i, c)
    {
        char label[DNS_ACCOUNT_LABEL_LEN + 1];

        assert_int_equal(
            dns_account_label(B(vectors_str(c, "account_url")), label), 0);
        assert_string_equal(label, vectors_str(c, "label"));
        n++;
    }
    assert_int_equal(n, 6);
    json_decref(root);
}

static void test_tokens_are_base64url_of_1_to_256(void **state)
{
    char t256[258];
    const struct {
        const char *token;
        bool good;
    } cases[] = {
        { "a", true },    { "AZaz09-_", true },  { t256 + 1, true },
        { t256, false },  { "", false },         { "a.b", false },
        { "a/b", false }, { "a b", false },      { "a=", false },
        { "a\n", false }, { "\xc3\xbc", false }, { "a+b", false },
        { "@", false },   { "[", false },        { "`", false },
        { "{", false },   { ":", false },
    };

    (void)state;
    memset(t256, 'x', 257);
    t256[257] = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct key_authorization ka = { 0 };
        struct refusal refusal = { 0 };
        int r = key_authorization_new(B(cases[i].token), "thp", &ka, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].good ? NULL : "bad-token",
                       cases[i].token);
        key_authorization_deinit(&ka);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_tokens_are_base64url_of_1_to_256),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
