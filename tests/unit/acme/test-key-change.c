/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/key-change.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "acme/b64url.h"
#include "acme/json-strict.h"

#define URL "https://ca.example/acme/key-change"
#define ACCOUNT "https://ca.example/acct/123"
/* RFC 7515 appendix A.3 and RFC 7517 appendix A.1. */
#define OLD                                                                    \
    "{\"crv\":\"P-256\",\"kty\":\"EC\","                                       \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define NEW                                                                    \
    "{\"crv\":\"P-256\",\"kty\":\"EC\","                                       \
    "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","                   \
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}"

static struct jwk key(const char *text)
{
    struct refusal refusal;
    json_t *json = NULL;
    struct jwk jwk;

    assert_int_equal(json_strict_read(bytes_from_str(text), &json, &refusal),
                     0);
    assert_int_equal(jwk_read(json, &jwk, &refusal), 0);
    json_decref(json);
    return jwk;
}

static void expect_text(const struct buf *b64, const char *want)
{
    CLEANUP_BUF struct buf text = { 0 };
    struct refusal refusal;

    assert_int_equal(b64url_decode(buf_bytes(b64), &text, &refusal), 0);
    assert_string_equal(buf_str(&text), want);
}

/* RFC 8555 section 7.3.5: the inner header has no nonce, and the keys are in
 * their places. */
static void test_the_new_key_says_which_it_replaces(void **state)
{
    struct jwk old_key = key(OLD), new_key = key(NEW);
    struct buf head = { 0 }, payload = { 0 };

    (void)state;
    assert_int_equal(
        key_change_inner(&old_key, &new_key, ACCOUNT, URL, &head, &payload), 0);
    expect_text(&head,
                "{\"alg\":\"ES256\",\"jwk\":" NEW ",\"url\":\"" URL "\"}");
    expect_text(&payload, "{\"account\":\"" ACCOUNT "\",\"oldKey\":" OLD "}");
    buf_deinit(&head);
    buf_deinit(&payload);
}

static void test_a_key_does_not_replace_itself(void **state)
{
    struct jwk old_key = key(OLD);
    struct buf head = { 0 }, payload = { 0 };

    (void)state;
    assert_int_equal(
        key_change_inner(&old_key, &old_key, ACCOUNT, URL, &head, &payload),
        -EINVAL);
    assert_int_equal(head.len, 0);
}

static void test_the_outer_payload_is_the_inner_jws(void **state)
{
    static const uint8_t raw[] = { 0xfb, 0xff };
    struct buf text = { 0 };

    (void)state;
    assert_int_equal(key_change_outer("aGVhZA", "cGF5bG9hZA",
                                      (struct bytes){ raw, sizeof(raw) },
                                      &text),
                     0);
    assert_string_equal(buf_str(&text),
                        "{\"protected\":\"aGVhZA\",\"payload\":\"cGF5bG9hZA\","
                        "\"signature\":\"-_8\"}");
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_new_key_says_which_it_replaces),
        cmocka_unit_test(test_a_key_does_not_replace_itself),
        cmocka_unit_test(test_the_outer_payload_is_the_inner_jws),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
