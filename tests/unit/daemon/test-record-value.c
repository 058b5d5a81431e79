/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/record-value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1790000000
#define URL "https://acme-staging-v02.api.letsencrypt.org/acme/acct/7"

static char directory[] =
    "https://acme-staging-v02.api.letsencrypt.org/directory";
static char url[] = URL;

static struct store_account account(char *prefix)
{
    struct store_account a = {
        .acme = { .directory_url = directory, .account_url = url },
        .meta = { .account_hash_prefix = prefix },
    };

    memset(a.acme.thumbprint, 'A', JWK_THP_TEXT_LEN);
    return a;
}

static const struct store_record plain = {
    .account = (char[]){ "a" },
    .domain = (char[]){ "www.example.com" },
    .issuer = (char[]){ "letsencrypt.org" },
};

static void assert_value(const struct store_account *a, const char *form,
                         const struct store_record *x,
                         const struct record_marks *marks, const char *expected)
{
    CLEANUP(record_source_deinit) struct record_source s = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    struct refusal refusal;

    assert_int_equal(record_source_init(&s, a, form), 0);
    assert_int_equal(record_put_value(&s, x, marks, &b, &refusal), 0);
    assert_string_equal(buf_str(&b), expected);
}

static void test_the_url_form(void **state)
{
    struct store_account a = account(NULL);
    struct store_record x = plain;

    (void)state;
    assert_value(&a, NULL, &x, &(struct record_marks){ 0 },
                 "{\"account\":\"a\",\"domain\":\"www.example.com\","
                 "\"issuer\":\"letsencrypt.org\",\"wildcard\":false,"
                 "\"reusable\":false,\"persistUntil\":null,\"expired\":false,"
                 "\"denied\":false,"
                 "\"owner\":\"_validation-persist.www.example.com\","
                 "\"accounturi\":\"" URL "\","
                 "\"value\":\"letsencrypt.org; accounturi=" URL "\","
                 "\"form\":\"url\",\"staging\":true}");
    x.wildcard = true;
    x.until_s = NOW - 1;
    assert_value(&a, "url", &x, &(struct record_marks){ true, true },
                 "{\"account\":\"a\",\"domain\":\"www.example.com\","
                 "\"issuer\":\"letsencrypt.org\",\"wildcard\":true,"
                 "\"reusable\":false,\"persistUntil\":1789999999,"
                 "\"expired\":true,\"denied\":true,"
                 "\"owner\":\"_validation-persist.www.example.com\","
                 "\"accounturi\":\"" URL "\","
                 "\"value\":\"letsencrypt.org; accounturi=" URL
                 "; policy=wildcard; persistUntil=1789999999\","
                 "\"form\":\"url\",\"staging\":true}");
}

/* The form follows the directory; the hash itself is tested in acme/. */
static void test_the_form_follows_the_directory(void **state)
{
    char prefix[] = "https://ca.example/h/";
    struct store_account with = account(prefix), without = account(NULL);
    struct record_source s = { 0 };

    (void)state;
    assert_int_equal(record_source_init(&s, &with, NULL), 0);
    assert_true(s.key_bound);
    assert_int_equal(record_source_init(&s, &with, "url"), 0);
    assert_false(s.key_bound);
    assert_int_equal(record_source_init(&s, &without, NULL), 0);
    assert_false(s.key_bound);
    assert_int_equal(record_source_init(&s, &without, "key-bound"), REFUSED);
    assert_true(record_form_ok("url") && record_form_ok("key-bound"));
    assert_false(record_form_ok("") || record_form_ok("URL"));
}

static void test_a_reusable_value_is_one_for_all_domains(void **state)
{
    char prefix[] = "https://ca.example/h/";
    CLEANUP(record_source_deinit) struct record_source s = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    struct store_account a = account(prefix);
    struct store_record x = plain;
    struct refusal refusal;
    char values[3][256];

    (void)state;
    assert_int_equal(record_source_init(&s, &a, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        x.reusable = i < 2;
        x.domain = i == 0 ? (char[]){ "a.example" } : (char[]){ "b.example" };
        assert_int_equal(
            record_put_value(&s, &x, &(struct record_marks){ 0 }, &b, &refusal),
            0);
        (void)snprintf(values[i], sizeof(values[i]), "%s", buf_str(&s.value));
    }
    assert_string_equal(values[0], values[1]);
    assert_string_not_equal(values[1], values[2]);
}

static void test_what_no_ca_would_take_is_refused(void **state)
{
    CLEANUP(record_source_deinit) struct record_source s = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    struct store_account a = account(NULL);
    struct store_record x = plain;
    struct refusal refusal = { 0 };

    (void)state;
    assert_int_equal(record_source_init(&s, &a, NULL), 0);
    x.issuer = (char[]){ "letsencrypt.org; policy=wildcard" };
    assert_int_equal(
        record_put_value(&s, &x, &(struct record_marks){ 0 }, &b, &refusal),
        REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_url_form),
        cmocka_unit_test(test_the_form_follows_the_directory),
        cmocka_unit_test(test_a_reusable_value_is_one_for_all_domains),
        cmocka_unit_test(test_what_no_ca_would_take_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
