/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/directory-meta.h"

#define PREFIX "https://ca.example/account-hash/"

static int read_meta(const char *members, struct acme_meta *ret,
                     struct refusal *why)
{
    CLEANUP_BUF struct buf b = { 0 };

    assert_int_equal(
        buf_printf(&b, "{\"newNonce\":\"x\",\"Zu5a\":[1],\"meta\":{%s}}",
                   members),
        0);
    return acme_meta_read(buf_bytes(&b), ret, why);
}

static void assert_list(char *const *got, const char *const *want)
{
    size_t i = 0;

    if (!want) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    for (; want[i]; i++) {
        assert_non_null(got[i]);
        assert_string_equal(got[i], want[i]);
    }
    assert_null(got[i]);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

#define ALL                                                                    \
    "\"termsOfService\":\"https://ca.example/terms?v=1\","                     \
    "\"website\":\"https://ca.example/\","                                     \
    "\"externalAccountRequired\":true,"                                        \
    "\"accountHashPrefix\":\"" PREFIX "\","                                    \
    "\"issuerDomainNames\":[\"authority.example\",\"ca.example.net\"],"        \
    "\"caaIdentities\":[\"CA.example.net.\",\"x.example\",\"authority."        \
    "example\"],"                                                              \
    "\"profiles\":{\"classic\":\"https://ca.example/p#c\",\"tlsserver\":\"\"," \
    "\"two words\":\"\"}"

static void assert_all(const struct acme_meta *m)
{
    assert_string_equal(m->terms, "https://ca.example/terms?v=1");
    assert_true(m->external_account_required);
    assert_string_equal(m->account_hash_prefix, PREFIX);
    assert_list(m->issuers, LIST("authority.example", "ca.example.net"));
    assert_list(m->caa_identities,
                LIST("ca.example.net", "x.example", "authority.example"));
    assert_false(m->caa_identities_unusable);
    assert_list(m->profiles, LIST("classic", "tlsserver"));
}

static void test_all_that_there_is(void **state)
{
    CLEANUP_ACME_META struct acme_meta m = { 0 };
    CLEANUP_ACME_META struct acme_meta copy = { 0 };
    struct refusal why = { 0 };

    (void)state;
    assert_outcome(outcome(read_meta(ALL, &m, &why), &why), NULL, why.detail);
    assert_all(&m);
    assert_int_equal(acme_meta_copy(&m, &copy), 0);
    acme_meta_deinit(&m);
    assert_null(m.issuers);
    assert_all(&copy);
}

static void assert_nothing(const struct acme_meta *m)
{
    assert_null(m->terms);
    assert_false(m->external_account_required);
    assert_null(m->account_hash_prefix);
    assert_null(m->issuers);
    assert_null(m->caa_identities);
    assert_null(m->profiles);
}

static void test_nothing_is_good_too(void **state)
{
    CLEANUP_ACME_META struct acme_meta m = { 0 };
    CLEANUP_ACME_META struct acme_meta copy = { 0 };
    struct refusal why = { 0 };

    (void)state;
    assert_int_equal(read_meta("", &m, &why), 0);
    assert_nothing(&m);
    assert_int_equal(acme_meta_read(B("{}"), &m, &why), 0);
    assert_nothing(&m);
    assert_int_equal(acme_meta_copy(&m, &copy), 0);
    assert_nothing(&copy);
    assert_int_equal(read_meta("\"externalAccountRequired\":false", &m, &why),
                     0);
    assert_false(m.external_account_required);
}

static void test_refused(void **state)
{
    static char long_terms[1200], many_profiles[2000];
    static const struct {
        const char *members, *want, *detail;
    } cases[] = {
        { "\"termsOfService\":1", "wrong-type", "termsOfService" },
        { "\"termsOfService\":\"a b\"", "bad-value", "termsOfService" },
        { "\"termsOfService\":\"a\\u001b[2J\"", "bad-value", "termsOfService" },
        { long_terms, "too-large", "termsOfService" },
        { "\"externalAccountRequired\":\"yes\"", "wrong-type", "external" },
        { "\"externalAccountRequired\":null", "wrong-type", "external" },
        { "\"accountHashPrefix\":null", "wrong-type", "accountHashPrefix" },
        { "\"accountHashPrefix\":\"\"", "bad-url", "no URL" },
        { "\"accountHashPrefix\":\"https://ca.example/a;b/\"", "bad-url",
          "accountHashPrefix: character 0x3b" },
        { "\"accountHashPrefix\":\"https://ca.example/a b/\"", "bad-url",
          "accountHashPrefix: character 0x20" },
        { "\"accountHashPrefix\":\"http://ca.example/h/\"", "url-scheme",
          "plain http" },
        { "\"issuerDomainNames\":\"ca.example\"", "wrong-type", "issuer" },
        { "\"issuerDomainNames\":[]", "bad-value", "empty" },
        { "\"issuerDomainNames\":[1]", "wrong-type", "issuerDomainNames" },
        { "\"issuerDomainNames\":[\"CA.example\"]", "bad-dns-name", "" },
        { "\"issuerDomainNames\":[\"ca.example.\"]", "bad-dns-name", "" },
        { "\"issuerDomainNames\":[\"b\xc3\xbc.example\"]", "bad-dns-name", "" },
        { "\"issuerDomainNames\":[\"*.ca.example\"]", "bad-dns-name", "" },
        { "\"issuerDomainNames\":[\"a.b\",\"a.c\",\"a.b\"]", "bad-value",
          "a.b twice" },
        { "\"issuerDomainNames\":[\"a.b\",\"a.c\",\"a.d\",\"a.e\",\"a.f\","
          "\"a.g\",\"a.h\",\"a.i\",\"a.j\",\"a.k\",\"a.l\"]",
          "too-large", "11 names" },
        { "\"issuerDomainNames\":[\"a.b\",\"a.c\"],"
          "\"caaIdentities\":[\"a.b\"]",
          "bad-value", "has a.c, caaIdentities has not" },
        { "\"profiles\":[\"classic\"]", "wrong-type", "profiles" },
        { many_profiles, "too-large", "65 profiles" },
    };
    size_t n = 0;

    (void)state;
    snprintf(long_terms, sizeof(long_terms), "\"termsOfService\":\"%01025d\"",
             0);
    n = (size_t)snprintf(many_profiles, sizeof(many_profiles),
                         "\"profiles\":{\"p\":1");
    for (int i = 0; i < 64; i++)
        n += (size_t)snprintf(many_profiles + n, sizeof(many_profiles) - n,
                              ",\"p%d\":1", i);
    snprintf(many_profiles + n, sizeof(many_profiles) - n, "}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACME_META struct acme_meta m = { 0 };
        struct refusal why = { 0 };
        int r = read_meta(cases[i].members, &m, &why);

        assert_outcome(outcome(r, &why), cases[i].want, cases[i].members);
        if (!strstr(why.detail, cases[i].detail))
            fail_msg("%s: %s", cases[i].members, why.detail);
        assert_nothing(&m);
    }
}

static void test_no_directory_or_no_meta(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "bad-json" },
        { "<html>", "bad-json" },
        { "[]", "wrong-type" },
        { "{\"meta\":[]}", "wrong-type" },
        { "{\"meta\":\"x\"}", "wrong-type" },
        { "{\"meta\":{},\"meta\":{}}", "duplicate-member" },
        { "{\"meta\":{\"accountHashPrefix\":\"" PREFIX
          "\",\"accountHashPrefix\":\"" PREFIX "\"}}",
          "duplicate-member" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACME_META struct acme_meta m = { 0 };
        struct refusal why = { 0 };
        int r = acme_meta_read(B(cases[i].text), &m, &why);

        assert_outcome(outcome(r, &why), cases[i].want, cases[i].text);
    }
}

/* Some CAs have there what is no host name; it only cannot be compared. */
static void test_identities_that_are_none_are_as_good_as_absent(void **state)
{
    static const char *const cases[] = {
        "[\"Radiant Lock\"]",
        "[]",
        "\"ca.example\"",
        "[\"ca.example\", 7]",
        "null",
        "[\"localhost\"]",
        "[\"a.b\",\"A.B.\"]",
        "{\"a\":\"b\"}",
    };
    CLEANUP_BUF struct buf many = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACME_META struct acme_meta m = { 0 };
        CLEANUP_BUF struct buf b = { 0 };
        struct refusal why = { 0 };

        assert_int_equal(buf_printf(&b,
                                    "\"issuerDomainNames\":[\"ca.example\"],"
                                    "\"caaIdentities\":%s",
                                    cases[i]),
                         0);
        assert_outcome(outcome(read_meta(buf_str(&b), &m, &why), &why), NULL,
                       cases[i]);
        assert_null(m.caa_identities);
        assert_true(m.caa_identities_unusable);
        assert_list(m.issuers, LIST("ca.example"));
    }

    assert_int_equal(buf_append_str(&many, "\"caaIdentities\":[\"a.b\""), 0);
    for (int i = 0; i < ACME_META_IDENTITIES_MAX; i++)
        assert_int_equal(buf_printf(&many, ",\"a%d.b\"", i), 0);
    assert_int_equal(buf_append_char(&many, ']'), 0);
    {
        CLEANUP_ACME_META struct acme_meta m = { 0 };

        assert_int_equal(read_meta(buf_str(&many), &m, NULL), 0);
        assert_true(m.caa_identities_unusable);
    }
}

static void test_profiles_that_no_order_could_carry_are_left_out(void **state)
{
    CLEANUP_ACME_META struct acme_meta m = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    struct refusal why = { 0 };

    (void)state;
    assert_int_equal(buf_printf(&b,
                                "\"profiles\":{\"\":\"\",\"a\":1,\"%064d\":1,"
                                "\"%065d\":1,\"\xc3\xbc\":1,\"b\":1}",
                                0, 0),
                     0);
    assert_outcome(outcome(read_meta(buf_str(&b), &m, &why), &why), NULL,
                   why.detail);
    assert_string_equal(m.profiles[0], "a");
    assert_int_equal(strlen(m.profiles[1]), 64);
    assert_string_equal(m.profiles[2], "b");
    assert_null(m.profiles[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_there_is),
        cmocka_unit_test(test_nothing_is_good_too),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_directory_or_no_meta),
        cmocka_unit_test(test_identities_that_are_none_are_as_good_as_absent),
        cmocka_unit_test(test_profiles_that_no_order_could_carry_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
