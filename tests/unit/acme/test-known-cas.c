/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/dns-name.h"
#include "acme/known-cas.h"
#include "acme/url.h"

static void test_the_table_is_sound(void **state)
{
    const struct url_rules rules = { 0 };
    const struct known_ca *ca;
    size_t n = 0;

    (void)state;
    for (; (ca = known_ca_at(n)); n++) {
        struct refusal why = { 0 };
        struct url url = { 0 };

        assert_outcome(
            outcome(url_read(B(ca->directory), &rules, &url, &why), &why), NULL,
            ca->directory);
        assert_true(bytes_eq_str(url.origin, ca->origin));
        assert_ptr_equal(known_ca_find(ca->name), ca);
        assert_ptr_equal(known_ca_of_directory(ca->directory), ca);
        assert_non_null(ca->issuers[0]);
        for (const char *const *s = ca->issuers; *s; s++) {
            assert_int_equal(dns_name_check(B(*s), false, &why), 0);
            assert_int_equal(known_issuer_check(*s, ca->directory),
                             KNOWN_ISSUER_OK);
        }
        assert_int_equal(ca->staging, strstr(ca->name, "staging") != NULL);
        assert_int_equal(ca->staging, strstr(ca->title, "staging") != NULL);
        assert_non_null(ca->title);
    }
    assert_in_range(n, 6, 100);
}

static void test_found_by_name_and_directory(void **state)
{
    (void)state;
    assert_string_equal(known_ca_find("letsencrypt")->directory,
                        "https://acme-v02.api.letsencrypt.org/directory");
    assert_null(known_ca_find("LetsEncrypt"));
    assert_null(known_ca_find(""));
    assert_null(known_ca_at(1000));
    assert_string_equal(
        known_ca_of_directory("https://acme.sectigo.com/v2/OV")->name,
        "sectigo");
    assert_string_equal(
        known_ca_of_directory("https://acme.ssl.com/sslcom-dv-ecc")->name,
        "sslcom-ecc");
    assert_null(known_ca_of_directory("https://ca.example/directory"));
}

#define LE "https://acme-v02.api.letsencrypt.org"

static void test_which_directory_may_speak_for_whom(void **state)
{
    static const struct {
        const char *issuer, *directory;
        enum known_issuer want;
    } cases[] = {
        { "letsencrypt.org", LE "/directory", KNOWN_ISSUER_OK },
        { "letsencrypt.org", LE "/other", KNOWN_ISSUER_OK },
        { "letsencrypt.org", "https://ACME-V02.api.letsencrypt.org/directory",
          KNOWN_ISSUER_OK },
        { "letsencrypt.org",
          "https://acme-staging-v02.api.letsencrypt.org/directory",
          KNOWN_ISSUER_OK },
        { "sectigo.com", "https://acme.zerossl.com/v2/DV90", KNOWN_ISSUER_OK },
        { "ca.example", "https://ca.example/directory", KNOWN_ISSUER_UNTABLED },
        { "other.example", "https://ca.example/d", KNOWN_ISSUER_UNTABLED },
        /* a name of the table from another origin */
        { "letsencrypt.org", "https://ca.example/directory",
          KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", "https://dv.acme-v02.api.pki.goog/directory",
          KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", "https://127.0.0.1:14000/dir",
          KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", LE ":8443/directory", KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", LE "@ca.example/directory",
          KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", LE ".ca.example/directory",
          KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", LE "\\@ca.example/", KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", LE "?/", KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", "http://acme-v02.api.letsencrypt.org/directory",
          KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org", "", KNOWN_ISSUER_MISMATCH },
        /* as DNS compares names */
        { "LetsEncrypt.org", "https://ca.example/d", KNOWN_ISSUER_MISMATCH },
        { "letsencrypt.org.", "https://ca.example/d", KNOWN_ISSUER_MISMATCH },
        /* a directory of the table with another name */
        { "ca.example", LE "/directory", KNOWN_ISSUER_MISMATCH },
        { "pki.goog", LE "/directory", KNOWN_ISSUER_MISMATCH },
        { "x.letsencrypt.org", LE "/directory", KNOWN_ISSUER_MISMATCH },
        { "org", LE "/directory", KNOWN_ISSUER_MISMATCH },
        { "", LE "/directory", KNOWN_ISSUER_MISMATCH },
        /* no name that could stand in a record */
        { "LetsEncrypt.org", LE "/directory", KNOWN_ISSUER_UNSET },
        { "letsencrypt.org.", LE "/directory", KNOWN_ISSUER_UNSET },
        { "", "https://ca.example/d", KNOWN_ISSUER_UNSET },
        { "CA.example", "https://ca.example/d", KNOWN_ISSUER_UNSET },
        { "ca.example; policy=wildcard", "https://ca.example/d",
          KNOWN_ISSUER_UNSET },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum known_issuer got =
            known_issuer_check(cases[i].issuer, cases[i].directory);

        if (got != cases[i].want)
            fail_msg("%s from %s: %d, want %d", cases[i].issuer,
                     cases[i].directory, got, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_found_by_name_and_directory),
        cmocka_unit_test(test_which_directory_may_speak_for_whom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
