/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "acme/b64url.h"
#include "acme/evp-key.h"
#include "acme/json-strict.h"
#include "acme/jwk.h"

#define X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

static const char *read_jwk(const char *text, struct jwk *ret)
{
    static struct refusal refusal;
    CLEANUP_JSON json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(json);
    return outcome(jwk_read(json, ret, &refusal), &refusal);
}

static void test_thumbprint_vectors(void **state)
{
    json_t *root = vectors_load("thumbprints.json");
    size_t i;
    json_t *c;

    (void)state;
    json_array_foreach(root, i, c)
    {
        char thp[JWK_THP_TEXT_LEN + 1];
        struct jwk jwk;
        struct refusal refusal;

        assert_int_equal(jwk_read(json_object_get(c, "jwk"), &jwk, &refusal),
                         0);
        assert_int_equal(jwk_thumbprint_text(&jwk, thp), 0);
        assert_string_equal(thp, vectors_str(c, "thumbprint"));
    }
    assert_int_equal(i, 4);
    json_decref(root);
}

static void test_curve_keys(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { ACCOUNT_KEY, NULL },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED "\"}", NULL },
        { "[]", "wrong-type" },
        { "{}", "missing-member" },
        { "{\"kty\":1}", "missing-member" },
        { "{\"kty\":\"oct\",\"k\":\"AA\"}", "bad-key" },
        { "{\"kty\":\"ec\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
          "bad-key" },
        { "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
          "bad-key" },
        { "{\"kty\":\"EC\",\"crv\":\"Ed25519\",\"x\":\"" ED "\",\"y\":\"" Y
          "\"}",
          "bad-key" },
        { "{\"kty\":\"OKP\",\"crv\":\"P-256\",\"x\":\"" X "\"}", "bad-key" },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"" ED "\"}", "bad-key" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\"}",
          "missing-member" },
        { "{\"kty\":\"EC\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
          "missing-member" },
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED "\",\"y\":\"" Y
          "\"}",
          "unknown-member" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y
          "\",\"d\":\"AA\"}",
          "unknown-member" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y
          "\",\"alg\":\"ES256\"}",
          "unknown-member" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":1}",
          "wrong-type" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "=\",\"y\":\"" Y "\"}",
          "bad-base64url" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"?\"}",
          "bad-base64url" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"" Y "\"}",
          "bad-key" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"\"}",
          "bad-key" },
        { "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X "\",\"y\":\"" Y "\"}",
          "bad-key" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" X "\"}",
          "bad-key" },
        /* y = 1 has order 1. */
        { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
          "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
          "bad-key" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jwk jwk;

        assert_outcome(read_jwk(cases[i].text, &jwk), cases[i].want,
                       cases[i].text);
    }
}

/* A modulus of @len octets from @first to @last, and an exponent. */
static const char *read_rsa(size_t len, uint8_t first, uint8_t last,
                            struct bytes e, struct jwk *ret)
{
    CLEANUP_BUF struct buf b = { 0 };
    uint8_t n[600];

    memset(n, 0x55, sizeof(n));
    n[0] = first;
    n[len - 1] = last;
    assert_int_equal(buf_append_str(&b, "{\"kty\":\"RSA\",\"n\":\""), 0);
    assert_int_equal(b64url_encode((struct bytes){ n, len }, &b), 0);
    assert_int_equal(buf_append_str(&b, "\",\"e\":\""), 0);
    assert_int_equal(b64url_encode(e, &b), 0);
    assert_int_equal(buf_append_str(&b, "\"}"), 0);
    return read_jwk(buf_str(&b), ret);
}

#define E(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })

static void test_rsa_keys(void **state)
{
    const struct {
        size_t len;
        uint8_t first, last;
        struct bytes e;
        const char *want;
    } cases[] = {
        { 256, 0x80, 1, E("\x01\x00\x01"), NULL },
        { 512, 0xff, 1, E("\x01\x00\x01"), NULL },
        { 257, 0x01, 1, E("\x03"), NULL },
        { 256, 0x80, 1, E("\x80\0\0\0\0\0\0\x01"), NULL },
        { 256, 0x7f, 1, E("\x01\x00\x01"), "bad-key" },
        { 128, 0x80, 1, E("\x01\x00\x01"), "bad-key" },
        { 513, 0x01, 1, E("\x01\x00\x01"), "bad-key" },
        { 257, 0x00, 1, E("\x01\x00\x01"), "bad-key" },
        { 256, 0x80, 2, E("\x01\x00\x01"), "bad-key" },
        { 256, 0x80, 1, E(""), "bad-key" },
        { 256, 0x80, 1, E("\x01"), "bad-key" },
        { 256, 0x80, 1, E("\x01\x00\x02"), "bad-key" },
        { 256, 0x80, 1, E("\x00\x01\x00\x01"), "bad-key" },
        { 256, 0x80, 1, E("\x01\0\0\0\0\0\0\0\x01"), "bad-key" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jwk jwk;
        char what[32];

        snprintf(what, sizeof(what), "case %zu", i);
        assert_outcome(read_rsa(cases[i].len, cases[i].first, cases[i].last,
                                cases[i].e, &jwk),
                       cases[i].want, what);
    }
}

static void test_rsa_members_are_closed(void **state)
{
    struct jwk jwk;

    (void)state;
    assert_outcome(read_jwk("{\"kty\":\"RSA\",\"n\":\"AQAB\"}", &jwk),
                   "missing-member", "no e");
    assert_outcome(
        read_jwk("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"d\":\"AA\"}",
                 &jwk),
        "unknown-member", "private");
    assert_outcome(
        read_jwk("{\"kty\":\"RSA\",\"n\":\"AQAB=\",\"e\":\"AQAB\"}", &jwk),
        "bad-base64url", "n");
    assert_outcome(
        read_jwk("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"A\"}", &jwk),
        "bad-base64url", "e");
}

/* Without the arithmetic that would notice later. */
static void test_decoding_alone_checks_the_form(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { ACCOUNT_KEY, NULL },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" X "\"}",
          NULL },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"" X "\"}",
          "bad-key" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "AA\",\"y\":\"" X
          "\"}",
          "bad-base64url" },
        { "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "A\",\"y\":\"" X "\"}",
          "bad-key" },
        { "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"\"}", "bad-key" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_JSON json_t *json = json_loads(cases[i].text, 0, NULL);
        struct refusal refusal = { 0 };
        struct jwk jwk;
        int r = jwk_decode(json, &jwk, &refusal);

        assert_outcome(outcome(r, &refusal), cases[i].want, cases[i].text);
    }
}

static void test_algorithms_of_keys(void **state)
{
    static const struct {
        enum jwk_type type;
        const char *name;
        enum jws_alg alg;
        size_t coord_len, signature_len;
    } cases[] = {
        { JWK_TYPE_P256, "ES256", JWS_ALG_ES256, 32, 64 },
        { JWK_TYPE_P384, "ES384", JWS_ALG_ES384, 48, 96 },
        { JWK_TYPE_RSA, "RS256", JWS_ALG_RS256, 0, 256 },
        { JWK_TYPE_ED25519, "EdDSA", JWS_ALG_EDDSA, 32, 64 },
    };
    static const char *const unknown[] = { "",      "none",  "HS256", "RS384",
                                           "PS256", "es256", "ES256 " };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jwk jwk = { .type = cases[i].type, .n_len = 0 };

        if (cases[i].type == JWK_TYPE_RSA)
            jwk.n_len = 256;
        assert_int_equal(jwk_alg(&jwk), cases[i].alg);
        assert_string_equal(jws_alg_name(cases[i].alg), cases[i].name);
        assert_int_equal(jws_alg_parse(B(cases[i].name)), cases[i].alg);
        assert_int_equal(jwk_coord_len(&jwk), cases[i].coord_len);
        assert_int_equal(jws_signature_len(&jwk), cases[i].signature_len);
    }
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        assert_int_equal(jws_alg_parse(B(unknown[i])), JWS_ALG_UNSET);
    assert_string_equal(jws_alg_name(JWS_ALG_UNSET), "");
    assert_string_equal(jws_alg_name((enum jws_alg)99), "");
}

struct test_key {
    const char *name;
    EVP_PKEY *pkey;
};

static EVP_PKEY *key_new(const char *name)
{
    if (strcmp(name, "RSA") == 0)
        return EVP_RSA_gen(2048);
    if (strcmp(name, "ED25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, name);
    return EVP_EC_gen(name);
}

static const char *const key_names[] = { "P-256", "P-384", "RSA", "ED25519" };

static void key_spki(EVP_PKEY *pkey, struct buf *ret)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(pkey, &der);

    assert_true(len > 0);
    assert_int_equal(buf_append(ret, der, (size_t)len), 0);
    OPENSSL_free(der);
}

static void test_keys_go_through_spki_and_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(key_names); i++) {
        CLEANUP_EVP_KEY EVP_PKEY *pkey = key_new(key_names[i]);
        CLEANUP_BUF struct buf spki = { 0 };
        CLEANUP_BUF struct buf again = { 0 };
        CLEANUP_BUF struct buf text = { 0 };
        struct jwk jwk, jwk2;

        key_spki(pkey, &spki);
        assert_int_equal(jwk_from_spki(buf_bytes(&spki), &jwk), 0);
        assert_int_equal(jwk_format(&jwk, &text), 0);
        assert_null(read_jwk(buf_str(&text), &jwk2));
        assert_true(jwk_eq(&jwk, &jwk2));
        assert_memory_equal(&jwk, &jwk2, sizeof(jwk));
        assert_int_equal(jwk_to_spki(&jwk2, &again), 0);
        assert_int_equal(again.len, spki.len);
        assert_memory_equal(again.data, spki.data, spki.len);
    }
}

static void check_spki_refused(EVP_PKEY *pkey)
{
    CLEANUP_BUF struct buf spki = { 0 };
    struct jwk jwk;

    key_spki(pkey, &spki);
    assert_int_equal(jwk_from_spki(buf_bytes(&spki), &jwk), JWK_E_UNSUPPORTED);
}

static void test_other_keys_are_unsupported(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *p521 = EVP_EC_gen("P-521");
    CLEANUP_EVP_KEY EVP_PKEY *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    CLEANUP_EVP_KEY EVP_PKEY *packed = EVP_EC_gen("P-256");
    static uint8_t large[2000];
    struct jwk jwk = { 0 };
    struct buf none = { 0 };

    (void)state;
    check_spki_refused(p521);
    check_spki_refused(ed448);
    assert_int_equal(
        EVP_PKEY_set_utf8_string_param(packed, "point-format", "compressed"),
        1);
    check_spki_refused(packed);
    assert_int_equal(jwk_from_spki(E("\x30\x00"), &jwk), JWK_E_UNSUPPORTED);
    assert_int_equal(jwk_from_spki(E(""), &jwk), JWK_E_UNSUPPORTED);
    assert_int_equal(
        jwk_from_spki((struct bytes){ large, sizeof(large) }, &jwk),
        JWK_E_UNSUPPORTED);
    assert_int_equal(jwk_to_spki(&jwk, &none), JWK_E_UNSUPPORTED);
}

static void test_trailing_octets_are_unsupported(void **state)
{
    CLEANUP_EVP_KEY EVP_PKEY *pkey = EVP_EC_gen("P-256");
    CLEANUP_BUF struct buf spki = { 0 };
    struct jwk jwk;

    (void)state;
    key_spki(pkey, &spki);
    assert_int_equal(buf_append_char(&spki, 0), 0);
    assert_int_equal(jwk_from_spki(buf_bytes(&spki), &jwk), JWK_E_UNSUPPORTED);
}

static void der_to_raw(struct buf *sig, size_t len)
{
    const uint8_t *p = sig->data;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)sig->len);
    uint8_t raw[2 * JWK_COORD_MAX];

    assert_non_null(s);
    BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, (int)len / 2);
    BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + len / 2, (int)len / 2);
    ECDSA_SIG_free(s);
    buf_clear(sig);
    assert_int_equal(buf_append(sig, raw, len), 0);
}

static void sign(EVP_PKEY *pkey, const struct jwk *jwk, const char *input,
                 struct buf *sig)
{
    static const char *const digests[] = { NULL, "SHA256", "SHA384", "SHA256",
                                           NULL };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t out[600];
    size_t len = sizeof(out);

    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, digests[jwk->type], NULL,
                                           NULL, pkey, NULL),
                     1);
    assert_int_equal(
        EVP_DigestSign(ctx, out, &len, (const uint8_t *)input, strlen(input)),
        1);
    EVP_MD_CTX_free(ctx);
    assert_int_equal(buf_append(sig, out, len), 0);
    if (jwk->type == JWK_TYPE_P256 || jwk->type == JWK_TYPE_P384)
        der_to_raw(sig, jws_signature_len(jwk));
}

static void test_signatures_are_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(key_names); i++) {
        CLEANUP_EVP_KEY EVP_PKEY *pkey = key_new(key_names[i]);
        CLEANUP_BUF struct buf sig = { 0 };
        struct bytes good, cut;
        struct jwk jwk;

        assert_int_equal(evp_key_to_jwk(pkey, &jwk), 0);
        sign(pkey, &jwk, "a.b", &sig);
        good = buf_bytes(&sig);
        cut = (struct bytes){ good.data, good.len - 1 };
        assert_int_equal(jws_verify(&jwk, B("a.b"), good), 0);
        assert_int_equal(jws_verify(&jwk, B("a.c"), good), JWS_E_BAD_SIGNATURE);
        assert_int_equal(jws_verify(&jwk, B("a.b"), cut), JWS_E_BAD_SIGNATURE);
        sig.data[sig.len / 2] ^= 1;
        assert_int_equal(jws_verify(&jwk, B("a.b"), good), JWS_E_BAD_SIGNATURE);
    }
}

static void test_no_key_verifies_nothing(void **state)
{
    struct jwk none = { 0 };
    struct jwk off = { .type = JWK_TYPE_P256, .x = { 1 }, .y = { 1 } };
    uint8_t sig[64] = { 1 };

    (void)state;
    assert_int_equal(jws_verify(&none, B("a.b"), (struct bytes){ sig, 0 }),
                     JWS_E_BAD_SIGNATURE);
    assert_int_equal(jws_verify(&off, B("a.b"), (struct bytes){ sig, 64 }),
                     JWS_E_BAD_SIGNATURE);
}

static void test_eq_looks_at_every_part(void **state)
{
    struct jwk a = { .type = JWK_TYPE_RSA, .n_len = 256, .e_len = 3 };

    (void)state;
    for (size_t i = 0; i < sizeof(a.x); i++) {
        struct jwk b = a;

        b.x[i] = 1;
        assert_false(jwk_eq(&a, &b));
        b = a;
        b.y[i] = 1;
        assert_false(jwk_eq(&a, &b));
    }
    for (int part = 0; part < 5; part++) {
        struct jwk b = a;

        b.type = part == 0 ? JWK_TYPE_P256 : b.type;
        b.n_len += part == 1;
        b.e_len += part == 2;
        b.n[511] = part == 3;
        b.e[7] = part == 4;
        assert_false(jwk_eq(&a, &b));
    }
    assert_true(jwk_eq(&a, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thumbprint_vectors),
        cmocka_unit_test(test_curve_keys),
        cmocka_unit_test(test_rsa_keys),
        cmocka_unit_test(test_rsa_members_are_closed),
        cmocka_unit_test(test_decoding_alone_checks_the_form),
        cmocka_unit_test(test_algorithms_of_keys),
        cmocka_unit_test(test_keys_go_through_spki_and_json),
        cmocka_unit_test(test_other_keys_are_unsupported),
        cmocka_unit_test(test_trailing_octets_are_unsupported),
        cmocka_unit_test(test_signatures_are_verified),
        cmocka_unit_test(test_no_key_verifies_nothing),
        cmocka_unit_test(test_eq_looks_at_every_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
