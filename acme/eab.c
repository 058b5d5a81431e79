/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/eab.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "acme/b64url.h"
#include "acme/json-strict.h"

#define EAB_ALG "HS256"
#define EAB_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

static int eab_check_kid(struct bytes kid, struct refusal *ret_refusal)
{
    if (kid.len == 0)
        return refuse(ret_refusal, REASON_WRONG_KID, "empty");
    if (kid.len > EAB_KID_MAX)
        return refuse(ret_refusal, REASON_WRONG_KID, "%zu octets", kid.len);
    if (!bytes_is_utf8(kid))
        return refuse(ret_refusal, REASON_WRONG_KID, "not in UTF-8");
    for (size_t i = 0; i < kid.len; i++) {
        if (kid.data[i] < 0x20 || kid.data[i] == 0x7f)
            return refuse(ret_refusal, REASON_WRONG_KID,
                          "control character 0x%02x", kid.data[i]);
    }
    return 0;
}

static int eab_append_header(const char *kid, const char *url, struct buf *ret)
{
    CLEANUP_BUF struct buf json = { 0 };
    int r;

    r = buf_append_str(&json, "{\"alg\":\"" EAB_ALG "\",\"kid\":");
    if (!r)
        r = buf_append_json(&json, bytes_from_str(kid));
    if (!r)
        r = buf_append_str(&json, ",\"url\":");
    if (!r)
        r = buf_append_json(&json, bytes_from_str(url));
    if (!r)
        r = buf_append_char(&json, '}');
    return r ? r : b64url_encode(buf_bytes(&json), ret);
}

static int eab_append_payload(const struct jwk *account, struct buf *ret)
{
    CLEANUP_BUF struct buf json = { 0 };
    int r = jwk_format(account, &json);

    return r ? r : b64url_encode(buf_bytes(&json), ret);
}

static void eab_mac(const struct buf *protected, const struct buf *payload,
                    const struct secret *key,
                    uint8_t ret[static crypto_auth_hmacsha256_BYTES])
{
    crypto_auth_hmacsha256_state state;
    CLEANUP_WIPE(wipe, state);

    crypto_auth_hmacsha256_init(&state, key->data, key->len);
    crypto_auth_hmacsha256_update(&state, protected->data, protected->len);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)".", 1);
    crypto_auth_hmacsha256_update(&state, payload->data, payload->len);
    crypto_auth_hmacsha256_final(&state, ret);
}

int eab_compose(const struct jwk *account, const char *kid,
                const char *new_account_url, const struct secret *mac_key,
                struct buf *ret_json, struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf protected = { 0 }, payload = { 0 }, text = { 0 };
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    int r;

    r = eab_check_kid(bytes_from_str(kid), ret_refusal);
    if (!r)
        r = eab_append_header(kid, new_account_url, &protected);
    if (!r)
        r = eab_append_payload(account, &payload);
    if (r)
        return r;
    eab_mac(&protected, &payload, mac_key, mac);
    r = b64url_encode((struct bytes){ mac, sizeof(mac) }, &text);
    if (r)
        return r;
    return buf_printf(ret_json,
                      "{\"protected\":\"%s\",\"payload\":\"%s\","
                      "\"signature\":\"%s\"}",
                      buf_str(&protected), buf_str(&payload), buf_str(&text));
}

static int eab_decode_json(const json_t *text, json_t **ret,
                           struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = b64url_decode(json_bytes(text), &b, ret_refusal);
    return r ? r : json_strict_read(buf_bytes(&b), ret, ret_refusal);
}

static int eab_check_header(const json_t *text, const char *new_account_url,
                            char **ret_kid, struct refusal *ret_refusal)
{
    CLEANUP_JSON json_t *header = NULL;
    json_t *alg, *kid, *url;
    const struct json_member members[] = {
        { "alg", JSON_STRING, true, &alg },
        { "kid", JSON_STRING, true, &kid },
        { "url", JSON_STRING, true, &url },
    };
    int r;

    r = eab_decode_json(text, &header, ret_refusal);
    if (!r)
        r = json_strict_members(header, members, ARRAY_LEN(members),
                                ret_refusal);
    if (r)
        return r;
    if (!bytes_eq_str(json_bytes(alg), EAB_ALG))
        return refuse(ret_refusal, REASON_WRONG_ALG, "%s",
                      json_string_value(alg));
    if (!bytes_eq_str(json_bytes(url), new_account_url))
        return refuse(ret_refusal, REASON_BAD_URL, "%s is not newAccount",
                      json_string_value(url));
    r = eab_check_kid(json_bytes(kid), ret_refusal);
    return r || !ret_kid ? r : json_strict_copy(kid, ret_kid);
}

static int eab_check_payload(const json_t *text, const struct jwk *account,
                             struct refusal *ret_refusal)
{
    CLEANUP_JSON json_t *payload = NULL;
    struct jwk key = { 0 };
    int r;

    r = eab_decode_json(text, &payload, ret_refusal);
    if (!r)
        r = jwk_decode(payload, &key, ret_refusal);
    if (r)
        return r;
    if (!jwk_eq(&key, account))
        return refuse(ret_refusal, REASON_WRONG_JWK,
                      "the payload is not the account's key");
    return 0;
}

static int eab_check_signature(const json_t *text, struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = b64url_decode(json_bytes(text), &b, ret_refusal);
    if (r)
        return r;
    if (b.len != crypto_auth_hmacsha256_BYTES)
        return refuse(ret_refusal, REASON_BAD_SIGNATURE, "MAC of %zu octets",
                      b.len);
    return 0;
}

int eab_check(struct bytes json, const struct jwk *account,
              const char *new_account_url, char **ret_kid,
              struct refusal *ret_refusal)
{
    CLEANUP_JSON json_t *jws = NULL;
    CLEANUP_FREE char *kid = NULL;
    json_t *protected, *payload, *signature;
    const struct json_member members[] = {
        { "protected", JSON_STRING, true, &protected },
        { "payload", JSON_STRING, true, &payload },
        { "signature", JSON_STRING, true, &signature },
    };
    int r;

    r = json_strict_read(json, &jws, ret_refusal);
    if (!r)
        r = json_strict_members(jws, members, ARRAY_LEN(members), ret_refusal);
    if (!r)
        r = eab_check_header(protected, new_account_url, &kid, ret_refusal);
    if (!r)
        r = eab_check_payload(payload, account, ret_refusal);
    if (!r)
        r = eab_check_signature(signature, ret_refusal);
    if (r)
        return r;
    if (ret_kid)
        *ret_kid = TAKE_PTR(kid);
    return 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim_space(struct bytes text)
{
    while (text.len > 0 && is_space(text.data[0]))
        text = (struct bytes){ text.data + 1, text.len - 1 };
    while (text.len > 0 && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Padding only where it belongs: to a multiple of four, at most two. */
static bool drop_padding(struct bytes *text)
{
    size_t n = 0;

    while (n < text->len && text->data[text->len - n - 1] == '=')
        n++;
    if (n > 2 || (n > 0 && text->len % 4 != 0))
        return false;
    text->len -= n;
    return true;
}

/* To the URL-safe alphabet; false if neither alphabet has all of it. */
static bool to_urlsafe(struct secret *text)
{
    bool plain = false;
    bool urlsafe = false;

    for (size_t i = 0; i < text->len; i++) {
        uint8_t *c = text->data + i;

        /* libsodium 1.0.18 takes some of these for letters. */
        if (*c >= 0x80)
            return false;
        plain |= *c == '+' || *c == '/';
        urlsafe |= *c == '-' || *c == '_';
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
    return !plain || !urlsafe;
}

int eab_key_decode(const struct secret *text, struct secret **ret)
{
    CLEANUP_SECRET struct secret *copy = NULL;
    CLEANUP_SECRET struct secret *key = NULL;
    struct bytes trimmed = trim_space((struct bytes){ text->data, text->len });
    size_t len = 0;
    int r;

    if (!drop_padding(&trimmed))
        return EAB_E_ENCODING;
    r = secret_new_copy(trimmed, &copy);
    if (!r)
        r = secret_new(trimmed.len / 4 * 3 + 3, &key);
    if (r)
        return r;
    if (!to_urlsafe(copy) ||
        sodium_base642bin(key->data, key->len, (const char *)copy->data,
                          copy->len, NULL, &len, NULL, EAB_VARIANT) != 0)
        return EAB_E_ENCODING;
    if (len < EAB_KEY_MIN)
        return EAB_E_SHORT;
    return secret_new_copy((struct bytes){ key->data, len }, ret);
}
