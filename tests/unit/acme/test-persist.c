/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/domain.h"
#include "acme/persist.h"

#define PREFIX "https://ca.example/account-hash/"
#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

static void test_vectors_of_accounturi(void **state)
{
    json_t *cases = vectors_load("dns-persist-accounturi.json");
    size_t i;
    json_t *c;

    (void)state;
    json_array_foreach(cases, i, c)
    {
        bool reusable = json_is_true(json_object_get(c, "reusable"));
        const char *normalized =
            json_string_value(json_object_get(c, "normalized"));
        CLEANUP_BUF struct buf got = { 0 };
        struct refusal why = { 0 };
        char domain[DNS_NAME_MAX + 1] = "";
        int r = domain_normalize(B(vectors_str(c, "domain")), domain, &why);

        assert_outcome(outcome(r, &why), NULL, vectors_str(c, "domain"));
        if (normalized)
            assert_string_equal(domain, normalized);
        r = persist_accounturi(vectors_str(c, "prefix"),
                               reusable ? "*" : domain,
                               vectors_str(c, "thumbprint"),
                               vectors_str(c, "account_url"), &got, &why);
        assert_outcome(outcome(r, &why), NULL, vectors_str(c, "source"));
        assert_string_equal(buf_str(&got), vectors_str(c, "accounturi"));
    }
    assert_int_equal(i, 11);
    json_decref(cases);
}

static void check_accounturi(const char *prefix, const char *domain,
                             const char *thumbprint, const char *account_url,
                             const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };
    struct refusal why = { 0 };
    int r =
        persist_accounturi(prefix, domain, thumbprint, account_url, &got, &why);

    assert_outcome(outcome(r, &why), want, why.detail[0] ? why.detail : prefix);
    if (r)
        assert_int_equal(got.len, 0);
}

static void test_only_good_parts_make_an_accounturi(void **state)
{
    static char long_prefix[PERSIST_PREFIX_MAX + 2];
    static const struct {
        const char *prefix, *domain, *thumbprint, *account_url, *want;
    } cases[] = {
        { PREFIX, "example.com", THUMBPRINT, ACCOUNT_URL, NULL },
        { PREFIX, "*", THUMBPRINT, ACCOUNT_URL, NULL },
        { PREFIX, "example.com", THUMBPRINT, ACCOUNT_URL "?id=1", NULL },
        { "http://127.0.0.1:14000/h/", "example.com", THUMBPRINT,
          "http://127.0.0.1:14000/a", NULL },
        { long_prefix, "example.com", THUMBPRINT, ACCOUNT_URL, "bad-url" },
        { PREFIX, "Example.com", THUMBPRINT, ACCOUNT_URL, "bad-dns-name" },
        { PREFIX, "example.com.", THUMBPRINT, ACCOUNT_URL, "bad-dns-name" },
        { PREFIX, "*.example.com", THUMBPRINT, ACCOUNT_URL, "bad-dns-name" },
        { PREFIX, "**", THUMBPRINT, ACCOUNT_URL, "bad-dns-name" },
        { PREFIX, "", THUMBPRINT, ACCOUNT_URL, "bad-dns-name" },
        { PREFIX, "example.com", "", ACCOUNT_URL, "bad-value" },
        { PREFIX, "example.com", THUMBPRINT "A", ACCOUNT_URL, "bad-value" },
        { PREFIX, "example.com", THUMBPRINT "=", ACCOUNT_URL, "bad-value" },
        { PREFIX, "example.com", "NzbLsXh8uDCcd+6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
          ACCOUNT_URL, "bad-base64url" },
        { PREFIX, "example.com", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xt",
          ACCOUNT_URL, "bad-base64url" },
        { PREFIX, "example.com", THUMBPRINT, "", "url-scheme" },
        { PREFIX, "example.com", THUMBPRINT, "http://ca.example/acct/1",
          "url-scheme" },
        { PREFIX, "example.com", THUMBPRINT, "https://ca.example", "bad-url" },
        { PREFIX, "example.com", THUMBPRINT, ACCOUNT_URL "#x", "bad-url" },
        { PREFIX, "example.com", THUMBPRINT, ACCOUNT_URL " ", "bad-url" },
        { PREFIX, "example.com", THUMBPRINT, "https://CA.example/acct/1",
          "bad-url" },
    };

    (void)state;
    memset(long_prefix, 'a', PERSIST_PREFIX_MAX + 1);
    memcpy(long_prefix, PREFIX, strlen(PREFIX));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_accounturi(cases[i].prefix, cases[i].domain, cases[i].thumbprint,
                         cases[i].account_url, cases[i].want);
    long_prefix[PERSIST_PREFIX_MAX] = 0;
    check_accounturi(long_prefix, "example.com", THUMBPRINT, ACCOUNT_URL, NULL);
}

static void test_prefixes(void **state)
{
    static const struct {
        const char *prefix, *want, *detail;
    } cases[] = {
        { PREFIX, NULL, "" },
        { "https://ca.example/", NULL, "" },
        { "https://ca.example/h?x=", NULL, "" },
        { "https://ca.example/a%2Fb/", NULL, "" },
        { "https://[2001:db8::1]:8443/h/", NULL, "" },
        { "http://127.0.0.1:14000/h/", NULL, "" },
        { "http://[::1]:14000/h/", NULL, "" },
        { "https://ca.example/~a-b._c!$&'()*+,=:@/", NULL, "" },
        { "", "bad-url", "no URL with a path" },
        { "/h/", "bad-url", "no URL with a path" },
        { "ca.example/h/", "bad-url", "no URL with a path" },
        /* "sha-256/..." would become part of the host's name */
        { "https://ca.example", "bad-url", "no URL with a path" },
        { "https://ca.example?x", "bad-url", "no URL with a path" },
        { "https://", "bad-url", "no URL with a path" },
        { "https:///h/", "bad-url", "empty label in host" },
        { "https://ca.example?x/", "bad-url", "no path" },
        { "https://user@ca.example/", "bad-url", "character 0x40 in host" },
        { "https://CA.example/h/", "bad-url", "in host" },
        { "https://ca.example:443/h/", "bad-url", "default port" },
        { "https://ca..example/h/", "bad-url", "empty label in host" },
        { "http://ca.example/h/", "url-scheme", "plain http" },
        { "ftp://ca.example/h/", "url-scheme", "not https" },
        { "HTTPS://ca.example/h/", "url-scheme", "not https" },
        { "urn:x://y/", "url-scheme", "not https" },
        { "https://ca.example/a;b/", "bad-url", "character 0x3b" },
        { "https://ca.example/a b/", "bad-url", "character 0x20" },
        { "https://ca.example/a\tb/", "bad-url", "character 0x09" },
        { "https://ca.example/a\nb/", "bad-url", "character 0x0a" },
        { "https://ca.example/a\x7f/", "bad-url", "character 0x7f" },
        { "https://ca.example/\xc3\xbc/", "bad-url", "character 0xc3" },
        { "https://ca.example/a\"b/", "bad-url", "character 0x22" },
        { "https://ca.example/a\\b/", "bad-url", "character 0x5c" },
        { "https://ca.example/#", "bad-url", "character 0x23" },
        { "https://ca.example/a<b/", "bad-url", "character 0x3c" },
        { "https://ca.example/%", "bad-url", "percent" },
        { "https://ca.example/%4", "bad-url", "percent" },
        { "https://ca.example/%4g", "bad-url", "percent" },
        { "https://ca.example/%g4", "bad-url", "percent" },
        { " https://ca.example/", "bad-url", "character 0x20" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct refusal why = { 0 };
        int r = persist_prefix_check(B(cases[i].prefix), &why);

        assert_outcome(outcome(r, &why), cases[i].want, cases[i].prefix);
        if (!strstr(why.detail, cases[i].detail))
            fail_msg("%s: %s", cases[i].prefix, why.detail);
    }
    assert_int_equal(
        persist_prefix_check(
            (struct bytes){ (const uint8_t *)"https://ca.example/\0/", 21 },
            NULL),
        REFUSED);
}

static void test_values_in_the_draft_s_words(void **state)
{
    static const struct {
        struct persist_record record;
        const char *want;
    } cases[] = {
        { { "ca.example", ACCOUNT_URL, false, 0 },
          "ca.example; accounturi=" ACCOUNT_URL },
        { { "ca.example", ACCOUNT_URL, true, 0 },
          "ca.example; accounturi=" ACCOUNT_URL "; policy=wildcard" },
        { { "ca.example", ACCOUNT_URL, false, 1790000000 },
          "ca.example; accounturi=" ACCOUNT_URL "; persistUntil=1790000000" },
        { { "ca.example", ACCOUNT_URL, true, PERSIST_UNTIL_MAX },
          "ca.example; accounturi=" ACCOUNT_URL
          "; policy=wildcard; persistUntil=253402300799" },
        { { "xn--bcher-kva.example", PREFIX "sha-256/x", false, 0 },
          "xn--bcher-kva.example; accounturi=" PREFIX "sha-256/x" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf got = { 0 };
        struct refusal why = { 0 };
        int r = persist_format(&cases[i].record, &got, &why);

        assert_outcome(outcome(r, &why), NULL, cases[i].want);
        assert_string_equal(buf_str(&got), cases[i].want);
    }
}

/* Whatever is formatted is read back, and would be accepted; the rest of what
 * is tried is refused, and leaves nothing behind. */
static void check_format(const struct persist_record *record, const char *want)
{
    const char *issuers[] = { record->issuer, NULL };
    const char *accepted[] = { record->accounturi, NULL };
    struct persist_question q = { record->wildcard, issuers, accepted, 1 };
    enum persist_verdict verdict = PERSIST_UNSET;
    enum persist_reason reason = PERSIST_REASON_UNSET;
    CLEANUP_BUF struct buf got = { 0 };
    struct refusal why = { 0 };
    struct bytes value;
    int r = persist_format(record, &got, &why);

    assert_outcome(outcome(r, &why), want, record->issuer);
    if (r) {
        assert_int_equal(got.len, 0);
        return;
    }
    value = buf_bytes(&got);
    assert_int_equal(persist_judge(&value, 1, &q, &verdict, &reason), 0);
    assert_string_equal(persist_verdict_name(verdict), "valid");
}

static void test_what_a_ca_would_reject_cannot_be_formatted(void **state)
{
    static char long_uri[PERSIST_ACCOUNTURI_MAX + 2];
    static const struct {
        struct persist_record record;
        const char *want;
    } cases[] = {
        { { "ca.example", ACCOUNT_URL, true, 2 }, NULL },
        { { "ca.example", ACCOUNT_URL "?a=b", false, 1 }, NULL },
        { { "ca.example", "http://127.0.0.1/acct/1", false, 0 }, NULL },
        { { "", ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { NULL, ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { "CA.example", ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { "ca.example.", ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { "ca", ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { "ca.example ", ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { "ca.example;", ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { "b\xc3\xbc.example", ACCOUNT_URL, false, 0 }, "bad-dns-name" },
        { { "ca.example", "", false, 0 }, "bad-url" },
        { { "ca.example", NULL, false, 0 }, "bad-url" },
        { { "ca.example", "acct/1", false, 0 }, "bad-url" },
        { { "ca.example", "https://ca.example", false, 0 }, "bad-url" },
        { { "ca.example", "http://ca.example/1", false, 0 }, "url-scheme" },
        { { "ca.example", ACCOUNT_URL ";a=b", false, 0 }, "bad-url" },
        { { "ca.example", ACCOUNT_URL "; policy=wildcard", false, 0 },
          "bad-url" },
        { { "ca.example", ACCOUNT_URL " ", false, 0 }, "bad-url" },
        { { "ca.example", ACCOUNT_URL "\xc3\xbc", false, 0 }, "bad-url" },
        { { "ca.example", long_uri, false, 0 }, "bad-url" },
        { { "ca.example", ACCOUNT_URL, false, -1 }, "bad-time" },
        { { "ca.example", ACCOUNT_URL, false, INT64_MIN }, "bad-time" },
        { { "ca.example", ACCOUNT_URL, false, PERSIST_UNTIL_MAX + 1 },
          "bad-time" },
        { { "ca.example", ACCOUNT_URL, false, INT64_MAX }, "bad-time" },
    };

    (void)state;
    memset(long_uri, 'a', PERSIST_ACCOUNTURI_MAX + 1);
    memcpy(long_uri, PREFIX, strlen(PREFIX));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_format(&cases[i].record, cases[i].want);
    long_uri[PERSIST_ACCOUNTURI_MAX] = 0;
    check_format(&(struct persist_record){ "ca.example", long_uri, true, 1 },
                 NULL);
}

/* Each octet alone: what passes into a value can be read back out of it. */
static void test_no_octet_slips_through(void **state)
{
    char issuer[] = "ca?x.example";
    char uri[] = "https://ca.example/a?b";
    unsigned n_issuers = 0, n_uris = 0;

    (void)state;
    for (unsigned c = 1; c < 256; c++) {
        struct persist_record record = { issuer, ACCOUNT_URL, true, 5 };
        CLEANUP_BUF struct buf got = { 0 };

        issuer[2] = (char)c;
        if (persist_format(&record, &got, NULL) == 0) {
            check_format(&record, NULL);
            n_issuers++;
        }
        uri[20] = (char)c;
        record = (struct persist_record){ "ca.example", uri, false, 0 };
        if (persist_format(&record, &got, NULL) == 0) {
            check_format(&record, NULL);
            n_uris++;
        }
    }
    assert_int_equal(n_issuers, 26 + 10 + 2); /* '-' and '.' */
    assert_int_equal(n_uris, 26 + 26 + 10 + strlen("-._~:/?[]@!$&'()*+,="));
}

static void check_split(struct bytes value, const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };

    assert_int_equal(persist_split(value, &got), 0);
    assert_string_equal(buf_str(&got), want);
}

static void test_strings_of_a_zone_file(void **state)
{
    static char text[600], want[700];

    (void)state;
    check_split(B("ca.example; accounturi=https://ca.example/1"),
                "\"ca.example; accounturi=https://ca.example/1\"");
    check_split(B(""), "\"\"");
    check_split((struct bytes){ 0 }, "\"\"");
    check_split(B("a\"b\\c"), "\"a\\\"b\\\\c\"");
    check_split((struct bytes){ (const uint8_t *)"\0\x01\n\x7f\xff", 5 },
                "\"\\000\\001\\010\\127\\255\"");

    memset(text, 'a', sizeof(text) - 1);
    snprintf(want, sizeof(want), "\"%.255s\"", text);
    check_split((struct bytes){ (const uint8_t *)text, 255 }, want);
    snprintf(want, sizeof(want), "\"%.255s\" \"a\"", text);
    check_split((struct bytes){ (const uint8_t *)text, 256 }, want);
    snprintf(want, sizeof(want), "\"%.255s\" \"%.255s\"", text, text);
    check_split((struct bytes){ (const uint8_t *)text, 510 }, want);
    /* An escape is one octet of its string, however it is written. */
    memset(text, '"', 256);
    memset(want, 0, sizeof(want));
    want[0] = '"';
    for (int i = 0; i < 255; i++)
        memcpy(want + 1 + 2 * i, "\\\"", 2);
    memcpy(want + 1 + 2 * 255, "\" \"\\\"\"", 6);
    check_split((struct bytes){ (const uint8_t *)text, 256 }, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_accounturi),
        cmocka_unit_test(test_only_good_parts_make_an_accounturi),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_values_in_the_draft_s_words),
        cmocka_unit_test(test_what_a_ca_would_reject_cannot_be_formatted),
        cmocka_unit_test(test_no_octet_slips_through),
        cmocka_unit_test(test_strings_of_a_zone_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
