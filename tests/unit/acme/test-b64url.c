/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/b64url.h"

static void test_rfc4648_vectors_both_ways(void **state)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {
        { "", "" },
        { "f", "Zg" },
        { "fo", "Zm8" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg" },
        { "fooba", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "-__-" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf text = { 0 };
        CLEANUP_BUF struct buf plain = { 0 };
        struct refusal refusal;

        assert_int_equal(b64url_encode(B(cases[i].plain), &text), 0);
        assert_string_equal(buf_str(&text), cases[i].text);
        assert_int_equal(b64url_decode(B(cases[i].text), &plain, &refusal), 0);
        assert_string_equal(buf_str(&plain), cases[i].plain);
    }
}

static void test_another_spelling_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t offset;
        const char *why;
    } cases[] = {
        { "Zg==", 2, "padding" },
        { "Zm8=", 3, "padding" },
        { "Zm9v=", 4, "padding" },
        { "=", 0, "padding alone" },
        { "Z", 1, "one character is no octet" },
        { "Zm9vY", 5, "one character over" },
        { "Zh", 2, "unused bits of one octet" },
        { "Zm9", 3, "unused bits of two octets" },
        { "Zm+v", 2, "the other alphabet's +" },
        { "Zm/v", 2, "the other alphabet's /" },
        { "Zm9v\n", 4, "newline" },
        { " Zm9v", 0, "space" },
        { "Zm 9v", 2, "space inside" },
        { "Zm9v\xc3\xbc", 4, "beyond ASCII" },
        { "Zm.v", 2, "dot" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf b = { 0 };
        struct refusal refusal = { 0 };
        int r = b64url_decode(B(cases[i].text), &b, &refusal);

        assert_outcome(outcome(r, &refusal), "bad-base64url", cases[i].why);
        if (refusal.offset != cases[i].offset)
            fail_msg("%s: offset %zu, want %zu", cases[i].why, refusal.offset,
                     cases[i].offset);
        assert_int_equal(b.len, 0);
    }
}

static void test_a_nul_is_refused(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct refusal refusal = { 0 };
    struct bytes text = { (const uint8_t *)"Zm9\0", 4 };
    int r = b64url_decode(text, &b, &refusal);

    (void)state;
    assert_outcome(outcome(r, &refusal), "bad-base64url", "NUL");
}

/* Of 64 last characters, only those whose unused bits are zero. */
static void test_one_octet_has_one_spelling(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
                                   "pqrstuvwxyz0123456789-_";
    unsigned n = 0;

    (void)state;
    for (size_t i = 0; i < 64; i++) {
        CLEANUP_BUF struct buf b = { 0 };
        struct refusal refusal;
        char text[] = { 'Z', alphabet[i], 0 };

        n += b64url_decode(B(text), &b, &refusal) == 0;
    }
    assert_int_equal(n, 4);
}

/* libsodium 1.0.18 takes octets beyond ASCII for letters. */
static void test_no_octet_outside_the_alphabet(void **state)
{
    unsigned n = 0;

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        CLEANUP_BUF struct buf b = { 0 };
        struct refusal refusal;
        uint8_t text[] = { 'Z', 'm', '9', (uint8_t)c };

        n += b64url_decode((struct bytes){ text, 4 }, &b, &refusal) == 0;
        assert_int_equal(b64url_span((struct bytes){ text, 4 }), 3 + !!b.len);
    }
    assert_int_equal(n, 64);
}

static void test_both_append(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct refusal refusal;

    (void)state;
    assert_int_equal(buf_append_str(&b, "x."), 0);
    assert_int_equal(b64url_encode(B("foo"), &b), 0);
    assert_string_equal(buf_str(&b), "x.Zm9v");
    assert_int_equal(b64url_decode(B("Zm9v"), &b, &refusal), 0);
    assert_string_equal(buf_str(&b), "x.Zm9vfoo");
    assert_int_equal(b.len, 9);
}

static void test_an_absurd_length_is_no_memory(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct refusal refusal;
    struct bytes absurd = { (const uint8_t *)"", SIZE_MAX };

    (void)state;
    assert_int_equal(b64url_encode(absurd, &b), -ENOMEM);
    absurd.len = SIZE_MAX / 2;
    assert_int_equal(b64url_encode(absurd, &b), -ENOMEM);
    absurd.len = SIZE_MAX;
    assert_int_equal(b64url_decode(absurd, &b, &refusal), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc4648_vectors_both_ways),
        cmocka_unit_test(test_another_spelling_is_refused),
        cmocka_unit_test(test_a_nul_is_refused),
        cmocka_unit_test(test_one_octet_has_one_spelling),
        cmocka_unit_test(test_no_octet_outside_the_alphabet),
        cmocka_unit_test(test_both_append),
        cmocka_unit_test(test_an_absurd_length_is_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
