/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_append_keeps_a_nul_behind_the_text(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_append(&b, "ab", 2), 0);
    assert_int_equal(b.len, 2000);
    assert_int_equal(b.data[2000], 0);
    buf_clear(&b);
    assert_int_equal(buf_printf(&b, "%s-%d", "x", 7), 0);
    assert_string_equal(buf_str(&b), "x-7");
}

static void test_reserve_refuses_sizes_that_overflow(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(buf_append(&b, "abc", 3), 0);
    assert_true(buf_reserve(&b, SIZE_MAX) < 0);
    assert_true(buf_reserve(&b, SIZE_MAX - 3) < 0);
    assert_string_equal(buf_str(&b), "abc");
}

static void test_append_json_escapes(void **state)
{
    static const struct {
        struct bytes in;
        const char *out;
    } cases[] = {
        { { (const uint8_t *)"plain", 5 }, "\"plain\"" },
        { { (const uint8_t *)"a\"b\\c", 5 }, "\"a\\\"b\\\\c\"" },
        { { (const uint8_t *)"a\nb\0c\x7f", 6 },
          "\"a\\u000ab\\u0000c\\u007f\"" },
        { { (const uint8_t *)"\xc3\xbc", 2 }, "\"\xc3\xbc\"" },
        { { (const uint8_t *)"\xff\xc3", 2 }, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { { NULL, 0 }, "\"\"" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf b = { 0 };

        assert_int_equal(buf_append_json(&b, cases[i].in), 0);
        assert_string_equal(buf_str(&b), cases[i].out);
    }
}

static void test_utf8_is_strict(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "", true },
        { "abc", true },
        { "\xf0\x9f\x94\x91", true },
        { "\xc0\xaf", false },         /* overlong */
        { "\xe0\x80\xaf", false },     /* overlong */
        { "\xed\xa0\x80", false },     /* surrogate */
        { "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
        { "\xe2\x82", false },         /* cut */
        { "\x80", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(bytes_is_utf8(bytes_from_str(cases[i].text)),
                         cases[i].good);
}

static int read_text(const char *text, size_t max, struct buf *ret)
{
    int fds[2];
    int r;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
    (void)close(fds[1]);
    r = buf_read(ret, fds[0], max);
    (void)close(fds[0]);
    return r;
}

static void test_lines_one_after_the_other(void **state)
{
    static const char *const lines[] = { "a", "", "b\r", "last" };
    struct bytes rest = bytes_from_str("a\n\nb\r\nlast");
    struct bytes line = { NULL, 0 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(bytes_next_line(&rest, &line));
        assert_true(bytes_eq_str(line, lines[i]));
    }
    assert_false(bytes_next_line(&rest, &line));
    rest = bytes_from_str("a\n");
    assert_true(bytes_next_line(&rest, &line));
    assert_false(bytes_next_line(&rest, &line));
}

static void test_reading_ends_at_the_most(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(read_text("abc", 3, &b), 0);
    assert_string_equal(buf_str(&b), "abc");
    assert_int_equal(read_text("de", 5, &b), 0);
    assert_string_equal(buf_str(&b), "abcde");
    assert_int_equal(read_text("f", 5, &b), -E2BIG);
    buf_clear(&b);
    assert_int_equal(read_text("", 0, &b), 0);
    assert_int_equal(read_text("a", 0, &b), -E2BIG);
    assert_int_equal(buf_read(&b, -1, 9), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_keeps_a_nul_behind_the_text),
        cmocka_unit_test(test_reserve_refuses_sizes_that_overflow),
        cmocka_unit_test(test_append_json_escapes),
        cmocka_unit_test(test_lines_one_after_the_other),
        cmocka_unit_test(test_reading_ends_at_the_most),
        cmocka_unit_test(test_utf8_is_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
