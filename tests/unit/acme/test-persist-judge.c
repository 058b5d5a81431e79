/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/persist.h"

#define LIST_MAX 16

static size_t read_list(const json_t *array, const char *ret[LIST_MAX + 1])
{
    size_t n = json_array_size(array);

    assert_in_range(n, 0, LIST_MAX);
    for (size_t i = 0; i < n; i++)
        ret[i] = json_string_value(json_array_get(array, i));
    ret[n] = NULL;
    return n;
}

static size_t read_values(const json_t *records, struct buf values[LIST_MAX])
{
    size_t n = json_array_size(records);
    size_t j;
    json_t *s;

    assert_in_range(n, 0, LIST_MAX);
    for (size_t i = 0; i < n; i++) {
        json_array_foreach(json_array_get(records, i), j, s)
        {
            assert_int_equal(buf_append_str(&values[i], json_string_value(s)),
                             0);
        }
    }
    return n;
}

static void check_vector(const json_t *c)
{
    const char *issuers[LIST_MAX + 1], *accepted[LIST_MAX + 1];
    struct buf values[LIST_MAX] = { 0 };
    struct bytes plain[LIST_MAX];
    size_t n = read_values(json_object_get(c, "records"), values);
    struct persist_question q = {
        .wildcard = json_is_true(json_object_get(c, "wildcard")),
        .issuers = issuers,
        .accepted = accepted,
        .now_s = json_integer_value(json_object_get(c, "now")),
    };
    enum persist_verdict verdict = PERSIST_UNSET;
    enum persist_reason reason = PERSIST_REASON_NO_RECORD;

    (void)read_list(json_object_get(c, "issuers"), issuers);
    (void)read_list(json_object_get(c, "accepted"), accepted);
    for (size_t i = 0; i < n; i++)
        plain[i] = buf_bytes(&values[i]);
    assert_int_equal(persist_judge(plain, n, &q, &verdict, &reason), 0);
    if (strcmp(persist_verdict_name(verdict), vectors_str(c, "verdict")) != 0)
        fail_msg("%s: %s %s, want %s", vectors_str(c, "id"),
                 persist_verdict_name(verdict), persist_reason_code(reason),
                 vectors_str(c, "verdict"));
    for (size_t i = 0; i < n; i++)
        buf_deinit(&values[i]);
}

static void test_vectors(void **state)
{
    json_t *cases = vectors_load("dns-persist-check.json");
    size_t i;
    json_t *c;

    (void)state;
    json_array_foreach(cases, i, c)
    {
        check_vector(c);
    }
    assert_int_equal(i, 25);
    json_decref(cases);
}

#define URI "https://ca.example/acct/123"
#define GOOD "ca.example; accounturi=" URI
#define NOW 1790000000

static void judge(const struct bytes *values, size_t n, bool wildcard,
                  const char *want)
{
    static const char *const issuers[] = { "ca.example", "ca2.example", NULL };
    static const char *const accepted[] = { URI, URI "/key", NULL };
    const struct persist_question q = { wildcard, issuers, accepted, NOW };
    enum persist_verdict verdict = PERSIST_UNSET;
    enum persist_reason reason = PERSIST_REASON_COUNT;

    assert_int_equal(persist_judge(values, n, &q, &verdict, &reason), 0);
    if (!want) {
        if (verdict != PERSIST_VALID || reason != PERSIST_REASON_UNSET)
            fail_msg("%.*s: %s, want valid", n ? (int)values[0].len : 0,
                     n ? (const char *)values[0].data : "",
                     persist_reason_code(reason));
        return;
    }
    if (strcmp(persist_reason_code(reason), want) != 0)
        fail_msg("%.*s: %s, want %s", n ? (int)values[0].len : 0,
                 n ? (const char *)values[0].data : "",
                 persist_reason_code(reason), want);
    assert_int_equal(verdict, persist_reason_verdict(reason));
    assert_int_not_equal(verdict, PERSIST_VALID);
}

struct judge_case {
    const char *value, *want;
    bool wildcard;
};

/* RFC 8659 section 4.2 to the letter. */
static void test_the_grammar(void **state)
{
    static const struct judge_case cases[] = {
        { GOOD, NULL, false },
        { "ca.example;accounturi=" URI, NULL, false },
        { "\t ca.example \t;\t accounturi \t=\t " URI " \t", NULL, false },
        { "CA.Example; ACCOUNTuri=" URI, NULL, false },
        { "ca2.example; accounturi=" URI "/key", NULL, false },
        { GOOD "; a=; 0=1; a-b=c; a--b=d", NULL, false },
        { "ca.example; a=b=c==; accounturi=" URI, NULL, false },
        { GOOD "; x=!\"#$%&'()*+,-./:<=>?@[\\]^_`{|}~", NULL, false },
        { GOOD "; policy=", NULL, false },
        { GOOD "; policy=wildcards", NULL, false },
        /* no part may be empty */
        { "ca.example;", "empty-parameter", false },
        { "ca.example; ", "empty-parameter", false },
        { GOOD ";", "empty-parameter", false },
        { GOOD "; \t", "empty-parameter", false },
        { "ca.example;; accounturi=" URI, "empty-parameter", false },
        { "ca.example; accounturi=" URI ";;", "empty-parameter", false },
        /* tags */
        { GOOD "; =x", "bad-tag", false },
        { GOOD "; a b=x", "bad-tag", false },
        { GOOD "; a_b=x", "bad-tag", false },
        { GOOD "; a.b=x", "bad-tag", false },
        { GOOD "; -a=x", "bad-tag", false },
        { GOOD "; a-=x", "bad-tag", false },
        { GOOD "; \xc3\xbc=x", "bad-tag", false },
        { GOOD "; a\n=x", "bad-tag", false },
        /* values */
        { GOOD " x", "bad-parameter-value", false },
        { GOOD "\x7f", "bad-parameter-value", false },
        { GOOD "\n", "bad-parameter-value", false },
        { GOOD "; a=\xc3\xbc", "bad-parameter-value", false },
        { GOOD "; a=b c", "bad-parameter-value", false },
        { GOOD "; a=b\tc", "bad-parameter-value", false },
        { "ca.example; accounturi=\"" URI " \"", "bad-parameter-value", false },
        { "ca.example; accounturi", "no-equals-sign", false },
        { GOOD "; wildcard", "no-equals-sign", false },
        /* once, in whatever case, known or not */
        { GOOD "; accounturi=" URI, "duplicate-parameter", false },
        { GOOD "; AccountURI=x", "duplicate-parameter", false },
        { GOOD "; policy=a; POLICY=wildcard", "duplicate-parameter", true },
        { GOOD "; persistUntil=1; persistuntil=2", "duplicate-parameter",
          false },
        { GOOD "; b=1; a=2; B=1", "duplicate-parameter", false },
        { GOOD "; aa=1; a=2; aaa=3", NULL, false },
        { "ca.example", "no-accounturi", false },
        { "ca.example; policy=wildcard", "no-accounturi", true },
        { "ca.example; accounturi=", "no-accounturi", false },
        { "ca.example; accounturi=; policy=wildcard", "no-accounturi", false },
        { "ca.example; account-uri=" URI, "no-accounturi", false },
        /* the issuer is ours, but for the dot */
        { "ca.example.; accounturi=" URI, "bad-issuer", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes value = B(cases[i].value);

        judge(&value, 1, cases[i].wildcard, cases[i].want);
    }
}

static void test_what_is_not_for_us_is_ignored(void **state)
{
    static const char *const values[] = {
        "",
        " ",
        ";",
        "; accounturi=" URI,
        "=",
        "v=spf1 -all",
        "accounturi=" URI,
        "other.example; accounturi=" URI,
        "other.example; accounturi=" URI ";",
        "ca.example.evil.example; accounturi=" URI,
        "xca.example; accounturi=" URI,
        "ca example; accounturi=" URI,
        "ca.example x; accounturi=" URI,
        "ca.example..; accounturi=" URI,
        "ca.example, accounturi=" URI,
        "\"ca.example\"; accounturi=" URI,
        "ca.\xc3\xa9xample; accounturi=" URI,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct bytes two[] = { B(values[i]), B(GOOD) };

        judge(two, 1, false, "other-issuer");
        judge(two, 2, false, NULL);
    }
    judge(NULL, 0, false, "no-record");
    {
        struct bytes nul[] = { { (const uint8_t *)"ca.example\0", 11 },
                               { (const uint8_t *)GOOD "\0", sizeof(GOOD) } };

        judge(nul, 1, false, "other-issuer");
        judge(nul + 1, 1, false, "bad-parameter-value");
    }
}

static void test_persist_until(void **state)
{
    static const struct judge_case cases[] = {
        { GOOD "; persistUntil=1790000000", NULL, false },
        { GOOD "; PERSISTUNTIL = 1790000001", NULL, false },
        { GOOD "; persistUntil=001790000000", NULL, false },
        { GOOD "; persistUntil=9223372036854775807", NULL, false },
        { GOOD "; persistUntil=1789999999", "expired", false },
        { GOOD "; persistUntil=0", "expired", false },
        { GOOD "; persistUntil=", "bad-persist-until", false },
        { GOOD "; persistUntil=x", "bad-persist-until", false },
        { GOOD "; persistUntil=2027-01-01", "bad-persist-until", false },
        { GOOD "; persistUntil=1790000001.5", "bad-persist-until", false },
        { GOOD "; persistUntil=0x7fffffff", "bad-persist-until", false },
        { GOOD "; persistUntil=+1790000001", "bad-persist-until", false },
        { GOOD "; persistUntil=-1", "bad-persist-until", false },
        { GOOD "; persistUntil=1e10", "bad-persist-until", false },
        { GOOD "; persistUntil=9223372036854775808", "bad-persist-until",
          false },
        { GOOD "; persistUntil=99999999999999999999", "bad-persist-until",
          false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes value = B(cases[i].value);

        judge(&value, 1, cases[i].wildcard, cases[i].want);
    }
}

static void test_accounturi_is_compared_octet_by_octet(void **state)
{
    static const char *const values[] = {
        "https://CA.example/acct/123",
        URI "/",
        "https://ca.example/acct/12",
        "https://ca.example/acct/1234",
        URI "#",
        "https://ca.example:443/acct/123",
        "https://ca.example/acct/%3123",
        URI "/KEY",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        CLEANUP_BUF struct buf b = { 0 };
        struct bytes value;

        assert_int_equal(buf_printf(&b, "ca.example; accounturi=%s", values[i]),
                         0);
        value = buf_bytes(&b);
        judge(&value, 1, false, "other-account");
    }
}

static void test_wildcards(void **state)
{
    static const struct judge_case cases[] = {
        { GOOD, "no-wildcard-policy", true },
        { GOOD "; policy=wildcard", NULL, true },
        { GOOD "; policy=WILDCARD", NULL, true },
        { GOOD "; policy=wildcard", NULL, false },
        { GOOD "; policy=", "no-wildcard-policy", true },
        { GOOD "; policy=wildcards", "no-wildcard-policy", true },
        { GOOD "; policy=wild", "no-wildcard-policy", true },
        { GOOD "; polic=wildcard", "no-wildcard-policy", true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes value = B(cases[i].value);

        judge(&value, 1, cases[i].wildcard, cases[i].want);
    }
}

/* Of several records that do not do, the reason is that of the one that needs
 * the least; a malformed one goes first, as at the CAs. */
static void test_the_nearest_reason(void **state)
{
    static const char *const near_to_far[] = {
        GOOD "; policy=wildcard; persistUntil=1", /* expired */
        GOOD,                                     /* no-wildcard-policy */
        "ca.example; accounturi=https://ca.example/acct/9; policy=wildcard",
        "other.example; accounturi=" URI,
    };
    static const char *const want[] = { "expired", "no-wildcard-policy",
                                        "other-account", "other-issuer" };
    const size_t n = ARRAY_LEN(near_to_far);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i; j < n; j++) {
            struct bytes values[] = { B(near_to_far[i]), B(near_to_far[j]),
                                      B("ca.example"), B(GOOD ";") };

            judge(values, 2, true, want[i]);
            values[1] = B(near_to_far[i]);
            values[0] = B(near_to_far[j]);
            judge(values, 2, true, want[i]);
            judge(values, 4, true, "no-accounturi");
        }
    }
}

static void test_parsed(void **state)
{
    CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
    enum persist_reason reason = PERSIST_REASON_UNSET;

    (void)state;
    assert_int_equal(persist_parse(B(" Other.Example ; colour=blue;accounturi="
                                     "urn:x ; PERSISTUNTIL=7; policy=WildCard"),
                                   &p, &reason),
                     0);
    assert_string_equal(p.issuer, "Other.Example");
    assert_string_equal(p.accounturi, "urn:x");
    assert_true(p.wildcard);
    assert_true(p.has_until);
    assert_int_equal(p.until_s, 7);
    persist_parsed_deinit(&p);

    assert_int_equal(persist_parse(B(GOOD), &p, &reason), 0);
    assert_false(p.wildcard);
    assert_false(p.has_until);
    assert_int_equal(p.until_s, 0);
    assert_int_equal(reason, PERSIST_REASON_UNSET);
}

static void test_an_issuer_is_a_host_name(void **state)
{
    static const struct {
        const char *issuer;
        bool good;
    } cases[] = {
        { "ca.example", true },
        { "ca", true },
        { "3ca.example", true },
        { "c-a.e--x", true },
        { "CA.EXAMPLE", true },
        { "", false },
        { " ", false },
        { ".", false },
        { ".ca.example", false },
        { "ca.example.", false },
        { "ca..example", false },
        { "-ca.example", false },
        { "ca-.example", false },
        { "ca.exa mple", false },
        { "ca .example", false },
        { "ca. example", false },
        { "ca_.example", false },
        { "*.example", false },
        { "c\xc3\xa4.de", false },
        { "ca=.example", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
        CLEANUP_BUF struct buf b = { 0 };
        enum persist_reason reason = PERSIST_REASON_UNSET;
        int r;

        assert_int_equal(buf_printf(&b, "%s; accounturi=x", cases[i].issuer),
                         0);
        r = persist_parse(buf_bytes(&b), &p, &reason);
        if (r != (cases[i].good ? 0 : REFUSED))
            fail_msg("%s: %d", cases[i].issuer, r);
        assert_int_equal(reason, cases[i].good ? PERSIST_REASON_UNSET
                                               : PERSIST_REASON_BAD_ISSUER);
    }
}

static void test_whose_a_malformed_record_is(void **state)
{
    static const struct {
        const char *value, *issuer;
    } cases[] = {
        { " ca.example\t; accounturi", "ca.example" },
        { "ca.example", "ca.example" },
        { "v=spf1 -all", "v=spf1 -all" },
        { "; accounturi=x", "" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(
            bytes_eq_str(persist_issuer(B(cases[i].value)), cases[i].issuer));
    assert_int_equal(persist_issuer((struct bytes){ 0 }).len, 0);
}

static void test_every_reason_has_a_code_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 1; i < PERSIST_REASON_COUNT; i++) {
        const char *code = persist_reason_code((enum persist_reason)i);

        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz-"),
                         strlen(code));
        assert_true(strlen(persist_reason_text((enum persist_reason)i)) > 10);
        assert_int_not_equal(persist_reason_verdict((enum persist_reason)i),
                             PERSIST_UNSET);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(
                code, persist_reason_code((enum persist_reason)j));
    }
    assert_string_equal(persist_reason_code(PERSIST_REASON_COUNT), "unset");
    assert_string_equal(persist_reason_text(PERSIST_REASON_UNSET),
                        "not judged");
    assert_int_equal(persist_reason_verdict(PERSIST_REASON_UNSET),
                     PERSIST_UNSET);
    assert_string_equal(persist_verdict_name(PERSIST_UNSET), "unset");
}

/* Thousands of parameters, all with names of their own, cost no more than
 * reading them; the last one is still seen. */
static void test_a_value_as_long_as_dns_lets_it_be(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct bytes value;

    (void)state;
    assert_int_equal(buf_append_str(&b, GOOD), 0);
    for (unsigned i = 0; b.len < 65000; i++)
        assert_int_equal(buf_printf(&b, ";%x=", i), 0);
    value = buf_bytes(&b);
    judge(&value, 1, false, NULL);
    assert_int_equal(buf_append_str(&b, ";0="), 0);
    value = buf_bytes(&b);
    judge(&value, 1, false, "duplicate-parameter");
}

/* No octets break the reader; what it takes, it takes again. */
static void test_any_octets(void **state)
{
    static const char alphabet[] = "ca.example;=  \tpolicywdrnstUI10-\"\\\xff";
    uint32_t x = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
        enum persist_reason reason = PERSIST_REASON_UNSET;
        char text[48];
        size_t len, from = i % 3 == 0 ? 0 : strlen(GOOD) - 27;
        int r;

        memcpy(text, GOOD,
               sizeof(text) < sizeof(GOOD) ? sizeof(text) : sizeof(GOOD));
        x = x * 1664525 + 1013904223;
        len = from + (x >> 16) % (sizeof(text) - from);
        for (size_t j = from; j < len; j++) {
            x = x * 1664525 + 1013904223;
            text[j] = alphabet[(x >> 16) % sizeof(alphabet)];
        }
        r = persist_parse((struct bytes){ (uint8_t *)text, len }, &p, &reason);
        assert_in_range(r, 0, REFUSED);
        if (r)
            assert_int_equal(persist_reason_verdict(reason), PERSIST_MALFORMED);
        else
            assert_true(strlen(p.accounturi) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_the_grammar),
        cmocka_unit_test(test_what_is_not_for_us_is_ignored),
        cmocka_unit_test(test_persist_until),
        cmocka_unit_test(test_accounturi_is_compared_octet_by_octet),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_the_nearest_reason),
        cmocka_unit_test(test_parsed),
        cmocka_unit_test(test_an_issuer_is_a_host_name),
        cmocka_unit_test(test_whose_a_malformed_record_is),
        cmocka_unit_test(test_every_reason_has_a_code_of_its_own),
        cmocka_unit_test(test_a_value_as_long_as_dns_lets_it_be),
        cmocka_unit_test(test_any_octets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
