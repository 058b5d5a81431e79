/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/b64url.h"
#include "acme/eab.h"

#define NEW_ACCOUNT "https://ca.example/acme/new-acct"
#define HEADER                                                                 \
    "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"" NEW_ACCOUNT "\"}"
#define KEY_TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

/* Computed by another program, from the key of the octets 0 to 31. */
#define COMPOSED                                                               \
    "{\"protected\":"                                                          \
    "\"eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC0xIiwidXJsIjoiaHR0cHM6Ly9jYS5leGFtcG" \
    "xlL2FjbWUvbmV3LWFjY3QifQ\",\"payload\":"                                  \
    "\"eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImY4M09KM0QyeEYxQmc4dnViOXRMZT" \
    "FnSE16Vjc2ZThUdXM5dVBIdlJWRVUiLCJ5IjoieF9GRXpSdTltMzZITE5fdHVlNjU5TE5wWF" \
    "c2cEN5U3Rpa1lqS0lXSTVhMCJ9\",\"signature\":"                              \
    "\"vovq8J6aN8DMp5ypa3M6s-0W7ydrkYSB7Df915Hc3Mg\"}"

static struct jwk account_key(void)
{
    struct acme_account *a = account_new("");
    struct jwk key = a->jwk;

    acme_account_free(a);
    return key;
}

static struct secret *secret_of(struct bytes from)
{
    struct secret *s = NULL;

    assert_int_equal(secret_new_copy(from, &s), 0);
    return s;
}

static struct secret *mac_key(void)
{
    uint8_t octets[32];

    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)i;
    return secret_of((struct bytes){ octets, sizeof(octets) });
}

static void test_composed_as_others_do(void **state)
{
    CLEANUP_SECRET struct secret *key = mac_key();
    CLEANUP_BUF struct buf got = { 0 };
    CLEANUP_FREE char *kid = NULL;
    struct jwk account = account_key();
    struct refusal why = { 0 };

    (void)state;
    assert_outcome(
        outcome(eab_compose(&account, "kid-1", NEW_ACCOUNT, key, &got, &why),
                &why),
        NULL, "compose");
    assert_string_equal(buf_str(&got), COMPOSED);
    assert_outcome(
        outcome(eab_check(buf_bytes(&got), &account, NEW_ACCOUNT, &kid, &why),
                &why),
        NULL, why.detail);
    assert_string_equal(kid, "kid-1");
    assert_int_equal(
        eab_check(buf_bytes(&got), &account, NEW_ACCOUNT, NULL, &why), 0);
}

static void test_any_kid_survives_its_json(void **state)
{
    static const char *const kids[] = {
        "a",     "kid/with+base64==", "\"quoted\" \\ back",
        "kid 1", "sch\xc3\xb6n",      "https://ca.example/kid/1",
    };
    CLEANUP_SECRET struct secret *key = mac_key();
    struct jwk account = account_key();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kids); i++) {
        CLEANUP_BUF struct buf got = { 0 };
        CLEANUP_FREE char *kid = NULL;
        struct refusal why = { 0 };

        assert_int_equal(
            eab_compose(&account, kids[i], NEW_ACCOUNT, key, &got, &why), 0);
        assert_outcome(outcome(eab_check(buf_bytes(&got), &account, NEW_ACCOUNT,
                                         &kid, &why),
                               &why),
                       NULL, kids[i]);
        assert_string_equal(kid, kids[i]);
    }
}

static void test_no_binding_with_a_bad_kid(void **state)
{
    static char long_kid[EAB_KID_MAX + 2];
    static const char *const kids[] = { "", "a\nb", "a\x7f", "a\xff",
                                        long_kid };
    CLEANUP_SECRET struct secret *key = mac_key();
    struct jwk account = account_key();

    (void)state;
    memset(long_kid, 'k', EAB_KID_MAX + 1);
    for (size_t i = 0; i < ARRAY_LEN(kids); i++) {
        CLEANUP_BUF struct buf got = { 0 };
        struct refusal why = { 0 };

        assert_outcome(outcome(eab_compose(&account, kids[i], NEW_ACCOUNT, key,
                                           &got, &why),
                               &why),
                       "wrong-kid", kids[i]);
        assert_int_equal(got.len, 0);
    }
    long_kid[EAB_KID_MAX] = 0;
    {
        CLEANUP_BUF struct buf got = { 0 };

        assert_int_equal(
            eab_compose(&account, long_kid, NEW_ACCOUNT, key, &got, NULL), 0);
    }
}

static void append_member(struct buf *b, const char *name, const char *json)
{
    assert_int_equal(buf_printf(b, "\"%s\":\"", name), 0);
    assert_int_equal(b64url_encode(B(json), b), 0);
    assert_int_equal(buf_append_str(b, "\","), 0);
}

#define MAC "vovq8J6aN8DMp5ypa3M6s-0W7ydrkYSB7Df915Hc3Mg"

/* @more: the rest of the object, after protected and payload. */
static void check(const char *header, const char *payload, const char *more,
                  const char *want)
{
    CLEANUP_BUF struct buf b = { 0 };
    CLEANUP_FREE char *kid = NULL;
    struct jwk account = account_key();
    struct refusal why = { 0 };
    int r;

    assert_int_equal(buf_append_char(&b, '{'), 0);
    append_member(&b, "protected", header);
    append_member(&b, "payload", payload);
    assert_int_equal(buf_printf(&b, "%s}", more), 0);
    r = eab_check(buf_bytes(&b), &account, NEW_ACCOUNT, &kid, &why);
    assert_outcome(outcome(r, &why), want, buf_str(&b));
    if (r)
        assert_null(kid);
}

#define SIGNATURE "\"signature\":\"" MAC "\""

static void test_the_header_is_closed(void **state)
{
    static char long_kid[1024];
    const struct {
        const char *header, *want;
    } cases[] = {
        { HEADER, NULL },
        { "{\"url\":\"" NEW_ACCOUNT "\", \"kid\":\"k\", \"alg\":\"HS256\"}",
          NULL },
        { "{\"alg\":\"HS384\",\"kid\":\"k\",\"url\":\"" NEW_ACCOUNT "\"}",
          "wrong-alg" },
        { "{\"alg\":\"ES256\",\"kid\":\"k\",\"url\":\"" NEW_ACCOUNT "\"}",
          "wrong-alg" },
        { "{\"alg\":\"none\",\"kid\":\"k\",\"url\":\"" NEW_ACCOUNT "\"}",
          "wrong-alg" },
        { "{\"alg\":\"HS256\",\"kid\":\"k\",\"url\":\"" NEW_ACCOUNT "/\"}",
          "bad-url" },
        { "{\"alg\":\"HS256\",\"kid\":\"k\",\"url\":\"https://ca.example/a\"}",
          "bad-url" },
        { "{\"alg\":\"HS256\",\"kid\":\"\",\"url\":\"" NEW_ACCOUNT "\"}",
          "wrong-kid" },
        { "{\"alg\":\"HS256\",\"kid\":\"a\\nb\",\"url\":\"" NEW_ACCOUNT "\"}",
          "wrong-kid" },
        { long_kid, "wrong-kid" },
        { "{\"alg\":\"HS256\",\"kid\":1,\"url\":\"" NEW_ACCOUNT "\"}",
          "wrong-type" },
        { "{\"alg\":\"HS256\",\"url\":\"" NEW_ACCOUNT "\"}", "missing-member" },
        { "{\"kid\":\"k\",\"url\":\"" NEW_ACCOUNT "\"}", "missing-member" },
        { "{\"alg\":\"HS256\",\"kid\":\"k\"}", "missing-member" },
        { "{\"alg\":\"HS256\",\"kid\":\"k\",\"nonce\":\"n\",\"url\":"
          "\"" NEW_ACCOUNT "\"}",
          "unknown-member" },
        { "{\"alg\":\"HS256\",\"kid\":\"k\",\"jwk\":" ACCOUNT_KEY
          ",\"url\":\"" NEW_ACCOUNT "\"}",
          "unknown-member" },
        { "{\"alg\":\"HS256\",\"kid\":\"k\",\"kid\":\"k\",\"url\":"
          "\"" NEW_ACCOUNT "\"}",
          "duplicate-member" },
        { "[]", "wrong-type" },
        { "", "bad-json" },
    };

    (void)state;
    snprintf(long_kid, sizeof(long_kid),
             "{\"alg\":\"HS256\",\"kid\":\"%0513d\",\"url\":\"" NEW_ACCOUNT
             "\"}",
             0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(cases[i].header, ACCOUNT_KEY, SIGNATURE, cases[i].want);
}

#define OTHER_KEY                                                              \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","                                    \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

static void test_the_payload_is_our_key_alone(void **state)
{
    static const struct {
        const char *payload, *want;
    } cases[] = {
        { ACCOUNT_KEY, NULL },
        { OTHER_KEY, "wrong-jwk" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
          "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
          "unknown-member" },
        { "{}", "missing-member" },
        { "\"" ACCOUNT_URL "\"", "bad-json" },
        { "", "bad-json" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(HEADER, cases[i].payload, SIGNATURE, cases[i].want);
}

static void test_the_object_is_closed(void **state)
{
    static const struct {
        const char *more, *want;
    } cases[] = {
        { SIGNATURE, NULL },
        { SIGNATURE ",\"header\":{}", "unknown-member" },
        { "\"signature\":1", "wrong-type" },
        { "\"signature\":\"\"", "bad-signature" },
        { "\"signature\":\"AAAA\"", "bad-signature" },
        { "\"signature\":\"AAAA" MAC "\"", "bad-signature" },
        { "\"signature\":\"" MAC "=\"", "bad-base64url" },
        { "\"payload\":\"\"", "duplicate-member" },
    };
    struct jwk account = account_key();
    struct refusal why = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(HEADER, ACCOUNT_KEY, cases[i].more, cases[i].want);
    assert_outcome(
        outcome(eab_check(B("{}"), &account, NEW_ACCOUNT, NULL, &why), &why),
        "missing-member", "{}");
    assert_outcome(
        outcome(eab_check(B("7"), &account, NEW_ACCOUNT, NULL, &why), &why),
        "bad-json", "7");
}

static void test_keys_as_cas_show_them(void **state)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        { KEY_TEXT, 0 },
        { KEY_TEXT "=", 0 },
        { "\t " KEY_TEXT "=\r\n", 0 },
        { KEY_TEXT "==", EAB_E_ENCODING },
        { KEY_TEXT "===", EAB_E_ENCODING },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX====", EAB_E_ENCODING },
        { "=" KEY_TEXT, EAB_E_ENCODING },
        { KEY_TEXT "AA", EAB_E_ENCODING }, /* 45 characters are no octets */
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", EAB_E_ENCODING },
        { "AAECAwQFBgcICQoL DA0ODxAREhMUFRYXGBkaGxwdHh8", EAB_E_ENCODING },
        { "AAECAwQFBgcICQoL\xc1"
          "A0ODxAREhMUFRYXGBkaGxwdHh8",
          EAB_E_ENCODING },
        { "", EAB_E_SHORT },
        { " \n", EAB_E_SHORT },
        { "AAECAwQFBgcICQoLDA0O", EAB_E_SHORT }, /* 15 octets */
    };
    CLEANUP_SECRET struct secret *want = mac_key();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SECRET struct secret *text = secret_of(B(cases[i].text));
        CLEANUP_SECRET struct secret *key = NULL;
        int r = eab_key_decode(text, &key);

        if (r != cases[i].want)
            fail_msg("%s: %d, want %d", cases[i].text, r, cases[i].want);
        if (r == 0) {
            assert_int_equal(key->len, want->len);
            assert_memory_equal(key->data, want->data, want->len);
        } else {
            assert_null(key);
        }
    }
}

static void test_either_alphabet_but_not_both(void **state)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        { "-_-_-_-_-_-_-_-_-_-_-w", 0 },
        { "+/+/+/+/+/+/+/+/+/+/+w", 0 },
        { "+/+/+/+/+/+/+/+/+/+/+w==", 0 },
        { "-_-_-_-_-_-_-_-_-_-_+w", EAB_E_ENCODING },
        { "/_AAAAAAAAAAAAAAAAAAAA", EAB_E_ENCODING },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SECRET struct secret *text = secret_of(B(cases[i].text));
        CLEANUP_SECRET struct secret *key = NULL;
        int r = eab_key_decode(text, &key);

        if (r != cases[i].want)
            fail_msg("%s: %d, want %d", cases[i].text, r, cases[i].want);
        if (r == 0) {
            assert_int_equal(key->len, EAB_KEY_MIN);
            assert_int_equal(key->data[0], 0xfb);
            assert_int_equal(key->data[1], 0xff);
        }
    }
}

static int init(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    return secrets_init(true, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_composed_as_others_do),
        cmocka_unit_test(test_any_kid_survives_its_json),
        cmocka_unit_test(test_no_binding_with_a_bad_kid),
        cmocka_unit_test(test_the_header_is_closed),
        cmocka_unit_test(test_the_payload_is_our_key_alone),
        cmocka_unit_test(test_the_object_is_closed),
        cmocka_unit_test(test_keys_as_cas_show_them),
        cmocka_unit_test(test_either_alphabet_but_not_both),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
