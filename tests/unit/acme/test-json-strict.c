/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/json-strict.h"

#define DEEP8 "[[[[[[[{\"a\":\"[[{\"}]]]]]]]"
#define DEEP9 "[[[[[[[[{\"a\":1}]]]]]]]]"

static void test_what_every_reader_reads_alike(void **state)
{
    static const struct {
        const char *text;
        const char *want;
        const char *why;
    } cases[] = {
        { "{}", NULL, "empty object" },
        { " {\r\n\t\"a\" : 1 } \n", NULL, "white space between tokens" },
        { "{\"\\u0061\":\"\\u00fc\\ud83d\\ude00\\/\"}", NULL, "escapes" },
        { "{\"a\":\"\xc3\xbc\"}", NULL, "UTF-8" },
        { "{\"a\":1,\"A\":2}", NULL, "case: settled by the closed set" },
        { DEEP8, NULL, "nested 8 deep, brackets in strings do not count" },
        { "{\"a\":\"\\\"[[[[[[[[[[[[\"}", NULL, "escaped quote in a string" },
        { "{\"a\":[[[]],[[]],[[]],[[]],[[]]]}", NULL, "many, but not deep" },
        { DEEP9, "too-deep", "nested 9 deep" },
        { "[[[[[[[[[", "too-deep", "open to the end" },
        { "]]]]]]]]]{}", "bad-json", "closed before opened" },
        { "{\"a\":1,\"a\":1}", "duplicate-member", "twice the same" },
        { "{\"a\":1,\"\\u0061\":1}", "duplicate-member", "twice by escape" },
        { "{\"x\":[{\"a\":1,\"b\":2,\"a\":3}]}", "duplicate-member", "deep" },
        { "", "bad-json", "nothing" },
        { " ", "bad-json", "only space" },
        { "null", "bad-json", "null" },
        { "\"a\"", "bad-json", "a string alone" },
        { "{} {}", "bad-json", "two values" },
        { "{}x", "bad-json", "trailing letter" },
        { "{\"a\":1,}", "bad-json", "trailing comma" },
        { "{'a':1}", "bad-json", "single quotes" },
        { "{a:1}", "bad-json", "no quotes" },
        { "{/**/}", "bad-json", "comment" },
        { "{\"a\":NaN}", "bad-json", "NaN" },
        { "{\"a\":01}", "bad-json", "leading zero" },
        { "{\"a\":+1}", "bad-json", "plus" },
        { "{\"a\":0x1}", "bad-json", "hex" },
        { "{\"a\":18446744073709551616}", "bad-json", "beyond 64 bits" },
        { "{\"a\":1e999}", "bad-json", "beyond a double" },
        { "{\"a\":\"\n\"}", "bad-json", "newline in a string" },
        { "{\"a\":\"\\x\"}", "bad-json", "unknown escape" },
        { "{\"a\":\"x\\u0000\"}", "bad-json", "NUL in a value" },
        { "{\"x\\u0000\":1}", "bad-json", "NUL in a name" },
        { "{\"a\":\"\\ud800\"}", "bad-json", "lone high surrogate" },
        { "{\"a\":\"\\udc00\"}", "bad-json", "lone low surrogate" },
        { "{\"a\":\"\\ud800\\u0041\"}", "bad-json", "broken pair" },
        { "{\"a\":\"\xc0\xaf\"}", "bad-json", "overlong UTF-8" },
        { "{\"a\":\"\xed\xa0\x80\"}", "bad-json", "surrogate in UTF-8" },
        { "{\"a\":\"\xf4\x90\x80\x80\"}", "bad-json", "beyond Unicode" },
        { "{\"a\":\"\xff\"}", "bad-json", "no UTF-8" },
        { "\xef\xbb\xbf{}", "bad-json", "byte order mark" },
        { "{\"a\":\"", "bad-json", "cut off in a string" },
        { "{\"a\":\"\\", "bad-json", "cut off in an escape" },
        { "{\"a\":tru}", "bad-json", "half a word" },
        { "{\"a\" \"b\"}", "bad-json", "no colon" },
        { "\f{}", "bad-json", "form feed is no white space" },
        { "\xc2\xa0{}", "bad-json", "nor is a no-break space" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_JSON json_t *json = NULL;
        struct refusal refusal = { 0 };
        int r = json_strict_read(B(cases[i].text), &json, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].want, cases[i].why);
        assert_true(cases[i].want ? !json : json != NULL);
    }
}

static void test_a_nul_in_the_text_is_refused(void **state)
{
    static const struct bytes cases[] = {
        { (const uint8_t *)"{}\0", 3 },
        { (const uint8_t *)"{}\0{}", 5 },
        { (const uint8_t *)"{\"a\":\"x\0\"}", 10 },
        /* jansson passes over these three */
        { (const uint8_t *)"{\"a\":1\0}", 8 },
        { (const uint8_t *)"{\"a\":true\0,\"b\":1}", 17 },
        { (const uint8_t *)"[null\0]", 7 },
        { NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_JSON json_t *json = NULL;
        struct refusal refusal = { 0 };
        int r = json_strict_read(cases[i], &json, &refusal);

        assert_outcome(outcome(r, &refusal), "bad-json", "NUL");
    }
}

static void test_offsets_say_where(void **state)
{
    static const struct {
        const char *text;
        size_t from, to;
    } cases[] = {
        { "{\"a\":1,\"a\":2}", 7, 12 },
        { "{\"a\":?}", 5, 6 },
        { DEEP9, 8, 8 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_JSON json_t *json = NULL;
        struct refusal refusal = { 0 };

        assert_int_equal(json_strict_read(B(cases[i].text), &json, &refusal),
                         REFUSED);
        assert_in_range(refusal.offset, cases[i].from, cases[i].to);
    }
}

static void test_a_text_of_48_kib_at_most(void **state)
{
    static char text[JSON_STRICT_MAX + 1];
    CLEANUP_JSON json_t *json = NULL;
    struct refusal refusal = { 0 };
    struct bytes b = { (const uint8_t *)text, JSON_STRICT_MAX };

    (void)state;
    memset(text, ' ', sizeof(text));
    memcpy(text, "{}", 2);
    assert_int_equal(json_strict_read(b, &json, &refusal), 0);
    json_decref(TAKE_PTR(json));
    b.len++;
    assert_outcome(outcome(json_strict_read(b, &json, &refusal), &refusal),
                   "too-large", "48 KiB and 1");
}

static const char *read_members(const char *text, json_t **a, json_t **b)
{
    static struct refusal refusal;
    const struct json_member members[] = {
        { "a", JSON_STRING, true, a },
        { "b", JSON_TRUE, false, b },
        { "c", JSON_INTEGER, false, NULL },
    };
    CLEANUP_JSON json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

    return outcome(json_strict_members(json, members, 3, &refusal), &refusal);
}

static void test_member_sets_are_closed(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { "{\"a\":\"x\"}", NULL },
        { "{\"b\":true,\"a\":\"x\"}", NULL },
        { "{\"a\":\"x\",\"b\":false,\"c\":1}", NULL },
        { "{}", "missing-member" },
        { "{\"b\":true}", "missing-member" },
        { "{\"a\":\"x\",\"d\":1}", "unknown-member" },
        { "{\"a\":\"x\",\"A\":\"x\"}", "unknown-member" },
        { "{\"A\":\"x\"}", "unknown-member" },
        { "{\"a\":\"x\",\"\":1}", "unknown-member" },
        { "{\"a\":null}", "wrong-type" },
        { "{\"a\":1}", "wrong-type" },
        { "{\"a\":\"x\",\"b\":1}", "wrong-type" },
        { "{\"a\":\"x\",\"b\":null}", "wrong-type" },
        { "{\"a\":\"x\",\"c\":1.0}", "wrong-type" },
        { "[]", "wrong-type" },
        { "\"a\"", "wrong-type" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *a, *b;

        assert_outcome(read_members(cases[i].text, &a, &b), cases[i].want,
                       cases[i].text);
    }
}

static void test_absent_members_are_null(void **state)
{
    json_t *a = NULL, *b = (json_t *)&a;

    (void)state;
    assert_null(read_members("{\"a\":\"x\"}", &a, &b));
    assert_non_null(a);
    assert_null(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_every_reader_reads_alike),
        cmocka_unit_test(test_a_nul_in_the_text_is_refused),
        cmocka_unit_test(test_offsets_say_where),
        cmocka_unit_test(test_a_text_of_48_kib_at_most),
        cmocka_unit_test(test_member_sets_are_closed),
        cmocka_unit_test(test_absent_members_are_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
