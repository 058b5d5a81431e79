/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include <openssl/asn1.h>
#include <openssl/x509v3.h>

#include "acme/der.h"

#define D(s)                                                                   \
    {                                                                          \
        (const uint8_t *)(s), sizeof(s) - 1                                    \
    }

static void test_only_der(void **state)
{
    static const struct {
        struct bytes der;
        bool good;
        const char *why;
    } cases[] = {
        { D("\x30\x00"), true, "empty sequence" },
        { D("\x30\x03\x02\x01\x05"), true, "integer" },
        { D("\x02\x01\x00"), true, "zero" },
        { D("\x02\x02\x00\x80"), true, "128" },
        { D("\x02\x01\x80"), true, "-128" },
        { D("\x01\x01\xff"), true, "true" },
        { D("\x01\x01\x00"), true, "false" },
        { D("\x05\x00"), true, "null" },
        { D("\x06\x03\x55\x04\x03"), true, "object identifier" },
        { D("\x03\x02\x07\x80"), true, "one bit" },
        { D("\x03\x01\x00"), true, "no bits" },
        { D("\x04\x03\x02\x81\x01"), true, "an octet string holds anything" },
        { D("\x0c\x01x"), true, "UTF8String" },
        { D("\x31\x06\x02\x01\x01\x02\x01\x02"), true, "set in order" },
        { D("\x31\x06\x02\x01\x01\x02\x01\x01"), true, "set of equals" },
        { D("\x31\x07\x02\x01\x01\x02\x02\x01\x01"), true, "short first" },
        { D("\x30\x06\x02\x01\x02\x02\x01\x01"), true, "sequence as it is" },
        { D("\xa0\x03\x02\x01\x05"), true, "explicit tag" },
        { D("\x82\x01\xfe"), true, "implicit tag, any content" },
        { D("\x9f\x1f\x01x"), true, "tag 31" },
        { D(""), false, "nothing" },
        { D("\x30"), false, "no length" },
        { D("\x30\x01"), false, "cut off" },
        { D("\x30\x00\x00"), false, "trailing octet" },
        { D("\x30\x00\x30\x00"), false, "two values" },
        { D("\x30\x80\x00\x00"), false, "indefinite length" },
        { D("\x30\x81\x00"), false, "long form of 0" },
        { D("\x30\x81\x03\x02\x01\x05"), false, "long form of 3" },
        { D("\x30\x82\x00\x03\x02\x01\x05"), false, "longer form of 3" },
        { D("\x30\x04\x02\x81\x01\x05"), false, "long form inside" },
        { D("\x30\x04\x02\x01\x05\x02"), false, "cut off inside" },
        { D("\x10\x00"), false, "primitive sequence" },
        { D("\x11\x00"), false, "primitive set" },
        { D("\x01\x01\x01"), false, "true by 1" },
        { D("\x01\x00"), false, "empty boolean" },
        { D("\x01\x02\x00\x00"), false, "long boolean" },
        { D("\x02\x00"), false, "empty integer" },
        { D("\x02\x02\x00\x05"), false, "leading zero octet" },
        { D("\x02\x02\xff\x80"), false, "leading ones octet" },
        { D("\x05\x01\x00"), false, "null with content" },
        { D("\x06\x04\x55\x04\x80\x03"), false, "padded arc" },
        { D("\x06\x01\x80"), false, "open arc" },
        { D("\x03\x02\x07\x81"), false, "unused bits set" },
        { D("\x03\x02\x08\x80"), false, "8 unused bits" },
        { D("\x03\x01\x01"), false, "unused bits of nothing" },
        { D("\x03\x00"), false, "no count of unused bits" },
        { D("\x24\x03\x04\x01x"), false, "constructed octet string" },
        { D("\x2c\x03\x0c\x01x"), false, "constructed UTF8String" },
        { D("\x23\x04\x03\x02\x07\x80"), false, "constructed bit string" },
        { D("\x31\x06\x02\x01\x02\x02\x01\x01"), false, "unordered set" },
        { D("\x31\x07\x02\x02\x01\x01\x02\x01\x01"), false, "long first" },
        { D("\x9f\x1e\x01x"), false, "tag 30 in the long form" },
        { D("\x9f\x80\x1f\x01x"), false, "padded tag" },
        { D("\xa0\x04\x02\x81\x01\x05"), false, "long form in a tag" },
        { D("\x00\x00"), false, "end of contents" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal refusal = { 0 };
        int r = der_check(cases[i].der, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].good ? NULL : "bad-der",
                       cases[i].why);
    }
}

static void test_nesting_is_bounded(void **state)
{
    uint8_t der[2 * (DER_DEPTH + 2)];

    (void)state;
    for (size_t depth = DER_DEPTH; depth <= DER_DEPTH + 1; depth++) {
        struct refusal refusal = { 0 };
        int r;

        for (size_t i = 0; i < depth; i++) {
            der[2 * i] = 0x30;
            der[2 * i + 1] = (uint8_t)(2 * (depth - 1 - i));
        }
        r = der_check((struct bytes){ der, 2 * depth }, &refusal);
        assert_outcome(outcome(r, &refusal),
                       depth > DER_DEPTH ? "bad-der" : NULL, "nesting");
    }
}

static void test_the_type_must_fit_and_have_no_default_spelled_out(void **state)
{
    static const struct {
        struct bytes der;
        bool good;
    } cases[] = {
        { D("\x30\x00"), true },
        { D("\x30\x03\x01\x01\xff"), true },
        { D("\x30\x03\x01\x01\x00"), false }, /* DEFAULT FALSE */
        { D("\x30\x02\x05\x00"), false },
        { D("\x02\x01\x05"), false },
        { D("\x30\x81\x00"), false },
    };
    const ASN1_ITEM *it = ASN1_ITEM_rptr(BASIC_CONSTRAINTS);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ASN1_VALUE *value = NULL;
        struct refusal refusal = { 0 };
        int r = der_decode(cases[i].der, it, NULL, &value, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].good ? NULL : "bad-der",
                       "BasicConstraints");
        ASN1_item_free(value, it);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_der),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(
            test_the_type_must_fit_and_have_no_default_spelled_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
