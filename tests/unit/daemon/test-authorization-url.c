/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/authorization-url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CA "https://ca.example"

static const char account_json[] =
    "{\"name\":\"test\",\"directory_url\":\"" CA "/directory\","
    "\"directory\":{\"newNonce\":\"" CA "/acme/new-nonce\","
    "\"newAccount\":\"" CA "/acme/new-acct\","
    "\"newOrder\":\"" CA "/acme/new-order\","
    "\"revokeCert\":\"" CA "/acme/revoke\"},"
    "\"account_url\":\"%s\",\"alg\":\"EdDSA\",\"allow_query\":true,"
    "\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}}";

static bool passes(const char *account_url, const char *url)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = NULL;
    char json[2048];
    struct refusal refusal = { 0 };

    (void)snprintf(json, sizeof(json), account_json, account_url);
    if (acme_account_read(bytes_from_str(json), &a, &refusal))
        print_error("%s %s\n", reason_code(refusal.reason), refusal.detail);
    assert_non_null(a);
    return authorization_url_check(url, a, &refusal) == 0;
}

static void test_authorizations_as_cas_name_them(void **state)
{
    static const char *const pairs[][2] = {
        { CA "/acme/acct/123", CA "/acme/authz/123/456" }, /* Boulder */
        { CA "/my-account/1a", CA "/authZ/x_y-z" },        /* Pebble */
        { CA "/acme/p/account/Ab", CA "/acme/p/authz/Cd" },
        { CA "/acct?id=1", CA "/authz?id=1" },
        { CA "/acme/acct/123", CA "/acme/acc" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        print_message("%s\n", pairs[i][1]);
        assert_true(passes(pairs[i][0], pairs[i][1]));
    }
}

static void test_what_could_be_the_account_does_not_pass(void **state)
{
    static const char *const urls[] = {
        CA "/acme/acct/123",        CA "/acme/acct/123/",
        CA "/acme/acct/0123",       CA "/acme/acct/+123",
        CA "/acme/acct/123/orders", CA "/acme/acct/123?x=1",
        CA "/acme/ACCT/123",        CA "/ACME/acct/124",
        CA "/acme/acct/",           CA "/acme/acct",
        CA "/acme/Acct?id=123",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        print_message("%s\n", urls[i]);
        assert_false(passes(CA "/acme/acct/123", urls[i]));
    }
    assert_false(passes(CA "/acct?id=1", CA "/acct?id=2"));
    assert_false(passes(CA "/acct?id=1", CA "/acct/1"));
    /* Where accounts lie beside everything, nothing can be told from one. */
    assert_false(passes(CA "/123", CA "/authz/1"));
}

static void test_endpoints_and_other_hosts_do_not_pass(void **state)
{
    static const char *const urls[] = {
        CA "/acme/new-order",
        CA "/acme/new-order/",
        CA "/acme/new-acct",
        CA "/acme/revoke",
        CA "/acme/new-nonce",
        "https://evil.example/acme/authz/1",
        CA "/acme/../authz/1",
        CA "/acme/authz/%31",
        "authz/1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        print_message("%s\n", urls[i]);
        assert_false(passes(CA "/acme/acct/123", urls[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authorizations_as_cas_name_them),
        cmocka_unit_test(test_what_could_be_the_account_does_not_pass),
        cmocka_unit_test(test_endpoints_and_other_hosts_do_not_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
