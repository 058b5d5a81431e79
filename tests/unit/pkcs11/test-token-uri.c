/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "pkcs11/token-uri.h"

static void test_token_uris_name_a_token_and_no_more(void **state)
{
    static const struct {
        const char *uri;
        const char *why; /* part of the text; NULL: accepted */
    } rows[] = {
        { "pkcs11:", NULL },
        { "pkcs11:token=a", NULL },
        { "pkcs11:token=a;serial=1;manufacturer=m;model=x", NULL },
        { "pkcs11:token=a;slot-id=3", NULL },
        { "token=a", "not a PKCS#11 URI" },
        { "", "not a PKCS#11 URI" },
        { "pkcs11:token=a;color=red", "not known" },
        { "pkcs11:token=a?pin-value=1", "pin-value" },
        { "pkcs11:token=a?pin-source=/x", "pin-source" },
        { "pkcs11:token=a?module-path=/x", "module-path" },
        { "pkcs11:token=a?module-name=x", "module-name" },
        { "pkcs11:token=a?color=red", "query" },
        { "pkcs11:token=a;object=k", "names a key" },
        { "pkcs11:token=a;id=%01", "names a key" },
        { "pkcs11:token=a;type=private", "names a key" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
        struct backend_error err = { 0 };
        enum token_result r = token_uri_parse(rows[i].uri, &uri, &err);

        if (r != (rows[i].why ? TOKEN_S_NO_TOKEN : TOKEN_S_OK))
            fail_msg("%s: %d %s", rows[i].uri, r, err.text);
        if (rows[i].why && !strstr(err.text, rows[i].why))
            fail_msg("%s: %s, expected %s", rows[i].uri, err.text, rows[i].why);
        assert_true((uri != NULL) == (rows[i].why == NULL));
    }
}

static void test_key_uris_name_a_private_key(void **state)
{
    static const struct {
        const char *uri;
        const char *why;
    } rows[] = {
        { "pkcs11:object=k", NULL },
        { "pkcs11:id=%01%02;type=private", NULL },
        { "pkcs11:token=a;object=k", NULL },
        { "pkcs11:token=a", "names no key" },
        { "pkcs11:token=a;type=private", "names no key" },
        { "pkcs11:object=k;type=public", "type is not private" },
        { "pkcs11:object=k?pin-value=1", "pin-value" },
        { "pkcs11:object=k;color=red", "not known" },
        { "nonsense", "not a PKCS#11 URI" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
        struct backend_error err = { 0 };
        enum token_result r = key_uri_parse(rows[i].uri, &uri, &err);

        if (r != (rows[i].why ? TOKEN_S_NO_KEY : TOKEN_S_OK) ||
            (rows[i].why && err.result != TOKEN_S_NO_KEY))
            fail_msg("%s: %d %s", rows[i].uri, r, err.text);
        if (rows[i].why && !strstr(err.text, rows[i].why))
            fail_msg("%s: %s, expected %s", rows[i].uri, err.text, rows[i].why);
    }
}

static void test_padding_is_cut(void **state)
{
    char text[8];

    (void)state;
    token_uri_text((const unsigned char *)"ab  ", 4, text, sizeof(text));
    assert_string_equal(text, "ab");
    token_uri_text((const unsigned char *)"    ", 4, text, sizeof(text));
    assert_string_equal(text, "");
    token_uri_text((const unsigned char *)"abcdefghij", 10, text, sizeof(text));
    assert_string_equal(text, "abcdefg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_uris_name_a_token_and_no_more),
        cmocka_unit_test(test_key_uris_name_a_private_key),
        cmocka_unit_test(test_padding_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
