/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client-shim/ctl.h"
#include "client-shim/records-sheet.h"

/* The formats of records render: whole outputs are in tests/records/. */

const struct ctl_command *const ctl_commands[] = { NULL };

#define NOW INT64_C(1795000000)
#define URL "https://ca.example/acme/acct/7"
#define STAGING_URL "https://staging.example/acct/9"
#define HASH                                                                   \
    "https://ca.example/acme/hash/sha-256/"                                    \
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG_URL "https://ca.example/acct/" X50 X50 X50 X50 X50

static const struct records_value values[] = {
    { .account = "le",
      .domain = "example.com",
      .owner = "_validation-persist.example.com",
      .issuer = "ca.example",
      .accounturi = URL,
      .value = "ca.example; accounturi=" URL },
    { .account = "le",
      .domain = "www.example.com",
      .owner = "_validation-persist.www.example.com",
      .issuer = "ca.example",
      .accounturi = URL,
      .value = "ca.example; accounturi=" URL
               "; policy=wildcard; persistUntil=1801353600",
      .until_s = 1801353600,
      .wildcard = true },
    { .account = "test",
      .domain = "example.com",
      .owner = "_validation-persist.example.com",
      .issuer = "staging.example",
      .accounturi = STAGING_URL,
      .value = "staging.example; accounturi=" STAGING_URL,
      .staging = true },
    { .account = "le",
      .domain = "alias.example",
      .owner = "_validation-persist.alias.example",
      .issuer = "ca.example",
      .accounturi = HASH,
      .value = "ca.example; accounturi=" HASH "; policy=wildcard",
      .wildcard = true,
      .reusable = true,
      .key_bound = true },
    { .account = "long",
      .domain = "alias.example",
      .owner = "_validation-persist.alias.example",
      .issuer = "ca.example",
      .accounturi = LONG_URL,
      .value = "ca.example; accounturi=" LONG_URL },
    { .account = "le",
      .domain = "xn--mnchen-3ya.example.net",
      .owner = "_validation-persist.xn--mnchen-3ya.example.net",
      .issuer = "ca.example",
      .accounturi = URL,
      .value = "ca.example; accounturi=" URL },
    { .account = "le",
      .domain = "nowhere.example",
      .owner = "_validation-persist.nowhere.example",
      .issuer = "ca.example",
      .accounturi = URL,
      .value = "ca.example; accounturi=" URL },
};

static const char *url_of(const struct records_value *v)
{
    if (strcmp(v->account, "test") == 0)
        return STAGING_URL;
    return strcmp(v->account, "long") == 0 ? LONG_URL : URL;
}

static void add_file(struct zones *z, const char *stem, const char *text)
{
    char file[128];
    struct errmsg err = { 0 };
    int r;

    (void)snprintf(file, sizeof(file), "zones.d/%s.zone", stem);
    r = zones_parse(z, bytes_from_str(text), file, stem, &err);
    if (r)
        fail_msg("%s:%u: %s", err.file, err.line, err.text);
}

static struct zones *make_zones(void)
{
    struct zones *z = calloc(1, sizeof(*z));

    assert_non_null(z);
    add_file(z, "example.com",
             "[Zone]\nPublisher=rfc2136\nServer=192.0.2.1\nTTL=300\n"
             "TsigName=guardian\nTsigKey=file:/etc/acme-guardian/key\n");
    add_file(z, "example.net", "[Zone]\nTTL=60\n");
    add_file(z, "alias.example",
             "[Zone]\nPublisher=rfc2136\nServer=[2001:db8::1]:5353\n"
             "TsigName=alias-key\nTsigKey=file:/etc/acme-guardian/key\n"
             "AliasZone=acme.example.org\n");
    return z;
}

static void read_golden(const char *name, struct buf *ret)
{
    const char *folder = getenv("RECORDS_GOLDEN");
    CLEANUP_BUF struct buf path = { 0 };
    char data[4096];
    size_t n;
    FILE *f;

    assert_non_null(folder);
    assert_int_equal(buf_printf(&path, "%s/%s", folder, name), 0);
    f = fopen(buf_str(&path), "re");
    if (!f)
        fail_msg("%s: cannot be opened", buf_str(&path));
    while ((n = fread(data, 1, sizeof(data), f)) > 0)
        assert_int_equal(buf_append(ret, data, n), 0);
    (void)fclose(f);
}

static void print(const struct records_sheet *s, char **ret)
{
    size_t len = 0;
    FILE *out = open_memstream(ret, &len);

    assert_non_null(out);
    assert_int_equal(records_sheet_print(s, out), 0);
    assert_int_equal(fclose(out), 0);
}

static void render(enum records_format format, bool caa, size_t wanted,
                   char **ret)
{
    CLEANUP_RECORDS_SHEET struct records_sheet *s = NULL;
    CLEANUP_ZONES struct zones *zones = make_zones();
    const struct records_style style = { .format = format,
                                         .zones = zones,
                                         .now_s = NOW };
    size_t n = 0;

    assert_int_equal(records_sheet_new(&style, &s), 0);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct errmsg err = { 0 };
        int r = records_sheet_add(s, &values[i],
                                  caa ? url_of(&values[i]) : NULL, &err);

        assert_true(r == 0 || r == RECORDS_SHEET_E_NO_KEY);
        n += r == 0;
    }
    assert_int_equal(n, wanted);
    assert_int_equal(records_sheet_count(s), wanted);
    print(s, ret);
}

static void check(enum records_format format, bool caa, size_t wanted,
                  const char *golden)
{
    CLEANUP_BUF struct buf want = { 0 };
    CLEANUP_FREE char *text = NULL;

    render(format, caa, wanted, &text);
    read_golden(golden, &want);
    assert_string_equal(text, buf_str(&want));
}

static void test_zone(void **state)
{
    (void)state;
    check(RECORDS_ZONE, false, ARRAY_LEN(values), "zone.txt");
    check(RECORDS_ZONE, true, ARRAY_LEN(values), "zone-caa.txt");
}

static void test_nsupdate(void **state)
{
    (void)state;
    check(RECORDS_NSUPDATE, false, ARRAY_LEN(values), "nsupdate.txt");
    check(RECORDS_NSUPDATE, true, ARRAY_LEN(values), "nsupdate-caa.txt");
}

static void test_json(void **state)
{
    (void)state;
    check(RECORDS_JSON, false, ARRAY_LEN(values), "json.json");
    check(RECORDS_JSON, true, ARRAY_LEN(values), "json-caa.json");
}

/* Those without a key have no grant. */
static void test_bind_policy(void **state)
{
    (void)state;
    check(RECORDS_BIND_POLICY, false, ARRAY_LEN(values) - 2, "bind-policy.txt");
}

static void add_one(const struct records_style *style,
                    const struct records_value *v, const char *account_url,
                    struct errmsg *err)
{
    CLEANUP_RECORDS_SHEET struct records_sheet *s = NULL;
    CLEANUP_FREE char *text = NULL;

    assert_int_equal(records_sheet_new(style, &s), 0);
    assert_int_equal(records_sheet_add(s, v, account_url, err),
                     RECORDS_SHEET_E_LEFT_OUT);
    assert_int_equal(records_sheet_count(s), 0);
    print(s, &text);
    assert_string_equal(text, style->format == RECORDS_JSON ? "[]\n" : "");
}

/* Whatever the daemon says: what no CA would accept is not printed. */
static void test_what_a_ca_would_reject_is_left_out(void **state)
{
    static const struct {
        const char *value, *says;
        bool wildcard;
    } cases[] = {
        { "ca.example; accounturi=" URL "; persistUntil=1794999999", "expired",
          false },
        { "other.example; accounturi=" URL, "other-issuer", false },
        { "ca.example; accounturi=" URL "8", "other-account", false },
        { "ca.example; accounturi=" URL, "no-wildcard-policy", true },
        { "ca.example; accounturi=" URL "; accounturi=" URL,
          "duplicate-parameter", false },
        { "ca.example; accounturi=" URL ";", "empty-parameter", false },
        { "ca.example", "no-accounturi", false },
        { "", "other-issuer", false },
    };

    (void)state;
    for (enum records_format f = RECORDS_ZONE; f <= RECORDS_BIND_POLICY; f++) {
        const struct records_style style = { .format = f, .now_s = NOW };

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct records_value v = values[0];
            struct errmsg err = { 0 };

            print_message("%s\n", cases[i].value);
            v.value = cases[i].value;
            v.wildcard = cases[i].wildcard;
            add_one(&style, &v, NULL, &err);
            assert_non_null(strstr(err.text, cases[i].says));
        }
    }
}

static void test_what_is_denied_is_left_out(void **state)
{
    (void)state;
    for (enum records_format f = RECORDS_ZONE; f <= RECORDS_BIND_POLICY; f++) {
        const struct records_style style = { .format = f, .now_s = NOW };
        struct records_value v = values[0];
        struct errmsg err = { 0 };

        v.denied = true;
        add_one(&style, &v, NULL, &err);
        assert_non_null(strstr(err.text, "example.com is denied"));
    }
}

static void test_expired_says_since_when(void **state)
{
    const struct records_style style = { .format = RECORDS_ZONE, .now_s = NOW };
    struct records_value v = values[1];
    struct errmsg err = { 0 };

    (void)state;
    v.value = "ca.example; accounturi=" URL
              "; policy=wildcard; persistUntil=1767225600";
    v.until_s = 1767225600;
    add_one(&style, &v, NULL, &err);
    assert_string_equal(err.text,
                        "_validation-persist.www.example.com: persistUntil is "
                        "in the past: 2026-01-01T00:00:00Z, so no CA would "
                        "accept it (expired)");
}

/* A ';' would begin another parameter, a quote would end the value. */
static void test_a_url_that_caa_cannot_carry_is_left_out(void **state)
{
    static const char *const urls[] = {
        "https://ca.example/a;b",  "",
        "https://ca.example/a b",  "https://ca.example/a\"b",
        "https://ca.example/a\\b", "https://ca.example/\xc3\xa4"
    };

    (void)state;
    for (enum records_format f = RECORDS_ZONE; f < RECORDS_BIND_POLICY; f++) {
        const struct records_style style = { .format = f, .now_s = NOW };

        for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
            struct errmsg err = { 0 };

            add_one(&style, &values[0], urls[i], &err);
            assert_non_null(strstr(err.text, "cannot stand in CAA"));
        }
    }
}

static void test_an_alias_that_is_too_long_is_left_out(void **state)
{
    CLEANUP_ZONES struct zones *zones = calloc(1, sizeof(*zones));
    const struct records_style style = { .format = RECORDS_ZONE,
                                         .zones = zones,
                                         .now_s = NOW };
    struct records_value v = values[0];
    struct errmsg err = { 0 };

    (void)state;
    assert_non_null(zones);
    add_file(zones, "long.example",
             "[Zone]\nAliasZone=" X50 "." X50 "." X50 ".example.org\n");
    v.domain = X50 "." X50 ".long.example";
    add_one(&style, &v, NULL, &err);
    assert_non_null(strstr(err.text, "too long"));
}

/* Many zones, one alias zone, one key: one grant. */
static void test_an_alias_zone_is_granted_once(void **state)
{
    CLEANUP_RECORDS_SHEET struct records_sheet *s = NULL;
    CLEANUP_ZONES struct zones *zones = calloc(1, sizeof(*zones));
    const struct records_style style = { .format = RECORDS_BIND_POLICY,
                                         .zones = zones,
                                         .now_s = NOW };
    static const char *const domains[] = { "a.example", "b.example",
                                           "www.b.example" };
    CLEANUP_FREE char *text = NULL;
    struct errmsg err = { 0 };

    (void)state;
    assert_non_null(zones);
    for (size_t i = 0; i < 2; i++)
        add_file(zones, domains[i],
                 "[Zone]\nPublisher=rfc2136\nServer=192.0.2.1\nTsigName=k\n"
                 "TsigKey=file:/etc/acme-guardian/key\n"
                 "AliasZone=acme.example.org\n");
    assert_int_equal(records_sheet_new(&style, &s), 0);
    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        struct records_value v = values[0];
        char owner[64];

        (void)snprintf(owner, sizeof(owner), "_validation-persist.%s",
                       domains[i]);
        v.domain = domains[i];
        v.owner = owner;
        assert_int_equal(records_sheet_add(s, &v, NULL, &err), 0);
    }
    print(s, &text);
    assert_string_equal(
        text,
        "// zone a.example (zones.d/a.example.zone)\n"
        "// _validation-persist.a.example. 3600 IN CNAME "
        "a.example.acme.example.org.\n"
        "// zone acme.example.org (AliasZone= of zones.d/a.example.zone)\n"
        "grant k zonesub TXT;\n"
        "// zone b.example (zones.d/b.example.zone)\n"
        "// _validation-persist.b.example. 3600 IN CNAME "
        "b.example.acme.example.org.\n"
        "// _validation-persist.www.b.example. 3600 IN CNAME "
        "www.b.example.acme.example.org.\n");
}

/* --ttl is for all; else each zone has its own. */
static void test_ttl_can_be_forced(void **state)
{
    CLEANUP_RECORDS_SHEET struct records_sheet *s = NULL;
    CLEANUP_ZONES struct zones *zones = make_zones();
    const struct records_style style = { .format = RECORDS_ZONE,
                                         .zones = zones,
                                         .has_ttl = true,
                                         .ttl_s = 7,
                                         .now_s = NOW };
    CLEANUP_FREE char *text = NULL;
    struct errmsg err = { 0 };

    (void)state;
    assert_int_equal(records_sheet_new(&style, &s), 0);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        assert_int_equal(
            records_sheet_add(s, &values[i], url_of(&values[i]), &err), 0);
    print(s, &text);
    for (const char *p = text; (p = strstr(p, " IN ")); p++)
        assert_memory_equal(p - 2, " 7", 2);
}

/* nsupdate takes 64 KiB, as DNS does. */
static void test_updates_are_sent_in_time(void **state)
{
    CLEANUP_RECORDS_SHEET struct records_sheet *s = NULL;
    CLEANUP_ZONES struct zones *zones = make_zones();
    const struct records_style style = { .format = RECORDS_NSUPDATE,
                                         .zones = zones,
                                         .now_s = NOW };
    CLEANUP_FREE char *text = NULL;
    struct errmsg err = { 0 };
    const char *p, *next;

    (void)state;
    assert_int_equal(records_sheet_new(&style, &s), 0);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(records_sheet_add(s, &values[0], NULL, &err), 0);
    print(s, &text);
    for (p = text; (next = strstr(p, "send\n")); p = next + 5)
        assert_true(next - p < 32 * 1024);
    assert_int_equal(*p, '\0');
}

static void test_words_of_formats(void **state)
{
    (void)state;
    assert_int_equal(records_format_parse("zone"), RECORDS_ZONE);
    assert_int_equal(records_format_parse("bind-policy"), RECORDS_BIND_POLICY);
    assert_int_equal(records_format_parse(""), RECORDS_FORMAT_UNSET);
    assert_int_equal(records_format_parse("Zone"), RECORDS_FORMAT_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_nsupdate),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_bind_policy),
        cmocka_unit_test(test_what_a_ca_would_reject_is_left_out),
        cmocka_unit_test(test_what_is_denied_is_left_out),
        cmocka_unit_test(test_expired_says_since_when),
        cmocka_unit_test(test_a_url_that_caa_cannot_carry_is_left_out),
        cmocka_unit_test(test_an_alias_that_is_too_long_is_left_out),
        cmocka_unit_test(test_an_alias_zone_is_granted_once),
        cmocka_unit_test(test_ttl_can_be_forced),
        cmocka_unit_test(test_updates_are_sent_in_time),
        cmocka_unit_test(test_words_of_formats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
