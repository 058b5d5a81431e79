/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pkcs11/fitness.h"

#define SENS TOKEN_ATTR_SENSITIVE
#define UNEX TOKEN_ATTR_UNEXTRACTABLE

static void test_readable_keys_do_not_sign(void **state)
{
    static const struct {
        uint32_t attrs, known;
        enum token_result check, prove;
    } rows[] = {
        { SENS | UNEX, SENS | UNEX, TOKEN_S_OK, TOKEN_S_OK },
        { SENS, SENS | UNEX, TOKEN_S_KEY_UNFIT, TOKEN_S_KEY_UNFIT },
        { UNEX, SENS | UNEX, TOKEN_S_KEY_UNFIT, TOKEN_S_KEY_UNFIT },
        { 0, SENS | UNEX, TOKEN_S_KEY_UNFIT, TOKEN_S_KEY_UNFIT },
        { SENS, SENS, TOKEN_S_OK, TOKEN_S_KEY_UNFIT },
        { UNEX, UNEX, TOKEN_S_OK, TOKEN_S_KEY_UNFIT },
        { 0, 0, TOKEN_S_OK, TOKEN_S_KEY_UNFIT },
        { TOKEN_ATTR_SOFTWARE, ~0u, TOKEN_S_OK, TOKEN_S_OK },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct token_key key = { .label = "k",
                                 .attrs = rows[i].attrs,
                                 .attrs_known = rows[i].known };
        struct backend_error err;

        assert_int_equal(fitness_check(&key, &err), rows[i].check);
        assert_int_equal(fitness_prove(&key, &err), rows[i].prove);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readable_keys_do_not_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
