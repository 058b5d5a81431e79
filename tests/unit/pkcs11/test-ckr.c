/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pkcs11/ckr.h"

static void test_codes_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(ckr_name(0xA0), "CKR_PIN_INCORRECT");
    assert_string_equal(ckr_name(0x190), "CKR_CRYPTOKI_NOT_INITIALIZED");
    assert_null(ckr_name(0));
    assert_null(ckr_name(0x80000123));
}

static void test_only_definite_answers_are_final(void **state)
{
    static const struct {
        unsigned long rv;
        enum token_result result;
        enum backend_cure cure;
    } rows[] = {
        { 0x70, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE },
        { 0x71, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE },
        { 0x07, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE },
        { 0x20, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE },
        { 0x21, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE },
        { 0x63, TOKEN_S_KEY_UNFIT, BACKEND_CURE_NONE },
        { 0x68, TOKEN_S_KEY_UNFIT, BACKEND_CURE_NONE },
        { 0x62, TOKEN_S_KEY_UNFIT, BACKEND_CURE_NONE },
        { 0xA0, TOKEN_S_PIN_WRONG, BACKEND_CURE_NONE },
        { 0xA1, TOKEN_S_PIN_WRONG, BACKEND_CURE_NONE },
        { 0xA2, TOKEN_S_PIN_WRONG, BACKEND_CURE_NONE },
        { 0xA3, TOKEN_S_PIN_LOCKED, BACKEND_CURE_NONE },
        { 0xA4, TOKEN_S_PIN_LOCKED, BACKEND_CURE_NONE },
        { 0xB1, TOKEN_S_FULL, BACKEND_CURE_NONE },
        { 0x150, TOKEN_S_BAD_SIGNATURE, BACKEND_CURE_NONE },
        { 0x02, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x03, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x05, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x06, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x30, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x32, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x50, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x60, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x82, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x90, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x102, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0xB3, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0xE0, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 0x80000123, TOKEN_S_FAILED, BACKEND_CURE_SESSION },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum backend_cure cure = BACKEND_CURE_RESTART;
        enum token_result r = ckr_classify(rows[i].rv, &cure);

        if (r != rows[i].result || cure != rows[i].cure)
            fail_msg("0x%lx: %d, cure %d; expected %d, %d", rows[i].rv, r, cure,
                     rows[i].result, rows[i].cure);
    }
}

static void test_texts_name_the_code(void **state)
{
    struct backend_error err;

    (void)state;
    assert_int_equal(backend_fail(&err, TOKEN_S_FAILED, BACKEND_CURE_SESSION,
                                  0x30, "C_Sign failed"),
                     TOKEN_S_FAILED);
    assert_string_equal(err.text, "C_Sign failed: CKR_DEVICE_ERROR");
    (void)backend_fail(&err, TOKEN_S_FAILED, BACKEND_CURE_SESSION, 0x80000123,
                       "C_Sign failed");
    assert_string_equal(err.text, "C_Sign failed: CK_RV 0x80000123");
    assert_int_equal(refuse_token(&err, TOKEN_S_EXISTS, "a %s", "key"),
                     TOKEN_S_EXISTS);
    assert_string_equal(err.text, "a key");
    assert_int_equal(err.ckr, 0);
    assert_int_equal(refuse_token(NULL, TOKEN_S_EXISTS, "x"), TOKEN_S_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_have_their_names),
        cmocka_unit_test(test_only_definite_answers_are_final),
        cmocka_unit_test(test_texts_name_the_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
