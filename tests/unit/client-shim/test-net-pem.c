/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client-shim/net-answer.h"

#define B "-----BEGIN CERTIFICATE-----\n"
#define E "-----END CERTIFICATE-----\n"
#define L64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void test_certificates_and_nothing_else(void **state)
{
    static const struct {
        const char *pem;
        bool ok;
    } cases[] = {
        { B "AAAA\n" E, true },
        { B "AAAA\n" E B "AAA=\n" E, true },
        { B "AAAA\n" E "\n" B "AA==\n" E "\n", true },
        { B L64 "\nAAAA\n" E, true },
        { "-----BEGIN CERTIFICATE-----\r\nAAAA\r\n"
          "-----END CERTIFICATE-----\r\n",
          true },
        { B "AAAA\n-----END CERTIFICATE-----", true },
        { "", false },
        { "\n", false },
        { B E, false },
        { B "AAAA\n", false },
        { "AAAA\n" E, false },
        { "subject: x\n" B "AAAA\n" E, false },
        { B "AAAA\n" E "x", false },
        { B "AAAA\n" E E, false },
        { B B "AAAA\n" E E, false },
        { B "AA=A\n" E, false },
        { B "A===\n" E, false },
        { B "====\n" E, false },
        { B "AA==\nAAAA\n" E, false },
        { B "AAA\n" E, false },
        { B "AA A\n" E, false },
        { B "\nAAAA\n" E, false },
        { B L64 "AAAAAAAAAAAAAAAA\n" E, false },
        { " " B "AAAA\n" E, false },
        { "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
          false },
        { B "AAAA\n" E
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
          false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (net_pem_ok(bytes_from_str(cases[i].pem)) != cases[i].ok)
            fail_msg("%zu: %s", i, cases[i].pem);
    }
    assert_false(net_pem_ok((struct bytes){ NULL, 0 }));
}

static void test_a_nul_is_no_end(void **state)
{
    static const char pem[] = B "AA\0A\n" E;

    (void)state;
    assert_false(
        net_pem_ok((struct bytes){ (const uint8_t *)pem, sizeof(pem) - 1 }));
    assert_false(net_pem_ok((struct bytes){ (const uint8_t *)(B "AAAA\n" E),
                                            sizeof(B "AAAA\n" E) }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certificates_and_nothing_else),
        cmocka_unit_test(test_a_nul_is_no_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
