/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/persist.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <sodium.h>

#include "acme/b64url.h"
#include "acme/dns-name.h"
#include "acme/jwk.h"
#include "acme/url.h"

/* Making records. Reading and judging them is persist-judge.c. */

static const struct {
    const char *code;
    const char *text;
    enum persist_verdict verdict;
} reasons[PERSIST_REASON_COUNT] = {
    [PERSIST_REASON_UNSET] = { "unset", "not judged", PERSIST_UNSET },
#define X(name, verdict, code, text)                                           \
    [PERSIST_REASON_##name] = { code, text, PERSIST_##verdict },
    PERSIST_REASON_TABLE(X)
#undef X
};

static enum persist_reason reason_known(enum persist_reason reason)
{
    return reason < PERSIST_REASON_COUNT ? reason : PERSIST_REASON_UNSET;
}

const char *persist_reason_code(enum persist_reason reason)
{
    return reasons[reason_known(reason)].code;
}

const char *persist_reason_text(enum persist_reason reason)
{
    return reasons[reason_known(reason)].text;
}

enum persist_verdict persist_reason_verdict(enum persist_reason reason)
{
    return reasons[reason_known(reason)].verdict;
}

const char *persist_verdict_name(enum persist_verdict verdict)
{
    switch (verdict) {
    case PERSIST_VALID:
        return "valid";
    case PERSIST_UNAUTHORIZED:
        return "unauthorized";
    case PERSIST_MALFORMED:
        return "malformed";
    case PERSIST_UNSET:
        break;
    }
    return "unset";
}

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

/* What RFC 3986 lets stand in a URI, without '#' (who would append to a
 * fragment?) and without ';', which ends a parameter in a record. */
static bool is_uri_char(uint8_t c)
{
    return is_alnum(c) || (c != 0 && strchr("-._~:/?[]@!$&'()*+,=%", c));
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
           (c >= 'A' && c <= 'F');
}

static int persist_check_chars(struct bytes uri, const char *what,
                               struct refusal *ret_refusal)
{
    for (size_t i = 0; i < uri.len; i++) {
        const uint8_t *c = uri.data + i;

        if (!is_uri_char(*c))
            return refuse_at(ret_refusal, REASON_BAD_URL, i,
                             "%s: character 0x%02x", what, *c);
        if (*c == '%' && (uri.len - i < 3 || !is_hex(c[1]) || !is_hex(c[2])))
            return refuse_at(ret_refusal, REASON_BAD_URL, i,
                             "%s: broken percent-encoding", what);
    }
    return 0;
}

/* The path and what follows are the CA's; the host must be what every reader
 * takes for the host, and a path must end it: "https://ca.example" and
 * "sha-256/..." would be another one. */
static int persist_check_uri(struct bytes uri, const char *what, size_t max,
                             struct refusal *ret_refusal)
{
    const struct url_rules rules = { .allow_http_loopback = true };
    CLEANUP_BUF struct buf origin = { 0 };
    const uint8_t *authority, *path = NULL;
    struct url url;
    int r;

    if (uri.len > max)
        return refuse(ret_refusal, REASON_BAD_URL, "%s: %zu octets", what,
                      uri.len);
    r = persist_check_chars(uri, what, ret_refusal);
    if (r)
        return r;
    authority = uri.len ? memmem(uri.data, uri.len, "://", 3) : NULL;
    if (authority)
        path = memchr(authority + 3, '/',
                      (size_t)(uri.data + uri.len - authority - 3));
    if (!path)
        return refuse(ret_refusal, REASON_BAD_URL, "%s: no URL with a path",
                      what);
    r = buf_printf(&origin, "%.*s/", (int)(path - uri.data),
                   (const char *)uri.data);
    if (r)
        return r;
    return url_read(buf_bytes(&origin), &rules, &url, ret_refusal);
}

int persist_prefix_check(struct bytes prefix, struct refusal *ret_refusal)
{
    return persist_check_uri(prefix, "accountHashPrefix", PERSIST_PREFIX_MAX,
                             ret_refusal);
}

static int persist_check_thumbprint(struct bytes text,
                                    struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf thp = { 0 };

    if (text.len != JWK_THP_TEXT_LEN)
        return refuse(ret_refusal, REASON_BAD_VALUE,
                      "thumbprint of %zu characters, not %d", text.len,
                      JWK_THP_TEXT_LEN);
    return b64url_decode(text, &thp, ret_refusal);
}

/* Any URL that an account may have, with AllowQuery= or without. */
static int persist_check_account_url(struct bytes text,
                                     struct refusal *ret_refusal)
{
    const struct url_rules rules = { .allow_query = true,
                                     .allow_http_loopback = true };
    struct url url;

    return url_read(text, &rules, &url, ret_refusal);
}

static void persist_hash(struct bytes domain, struct bytes thumbprint,
                         struct bytes account_url,
                         uint8_t ret[static crypto_hash_sha256_BYTES])
{
    const uint8_t domain_len = (uint8_t)domain.len;
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, &domain_len, 1);
    crypto_hash_sha256_update(&state, domain.data, domain.len);
    crypto_hash_sha256_update(&state, thumbprint.data, thumbprint.len);
    crypto_hash_sha256_update(&state, account_url.data, account_url.len);
    crypto_hash_sha256_final(&state, ret);
}

int persist_accounturi(const char *prefix, const char *domain,
                       const char *thumbprint, const char *account_url,
                       struct buf *ret, struct refusal *ret_refusal)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    int r;

    r = persist_prefix_check(bytes_from_str(prefix), ret_refusal);
    if (!r && strcmp(domain, "*") != 0)
        r = dns_name_check(bytes_from_str(domain), false, ret_refusal);
    if (!r)
        r = persist_check_thumbprint(bytes_from_str(thumbprint), ret_refusal);
    if (!r)
        r = persist_check_account_url(bytes_from_str(account_url), ret_refusal);
    if (r)
        return r;

    persist_hash(bytes_from_str(domain), bytes_from_str(thumbprint),
                 bytes_from_str(account_url), hash);
    r = buf_printf(ret, "%ssha-256/", prefix);
    if (r)
        return r;
    return b64url_encode((struct bytes){ hash, sizeof(hash) }, ret);
}

int persist_format(const struct persist_record *record, struct buf *ret,
                   struct refusal *ret_refusal)
{
    int r;

    r = dns_name_check(bytes_from_str(record->issuer), false, ret_refusal);
    if (!r)
        r = persist_check_uri(bytes_from_str(record->accounturi), "accounturi",
                              PERSIST_ACCOUNTURI_MAX, ret_refusal);
    if (r)
        return r;
    if (record->until_s < 0 || record->until_s > PERSIST_UNTIL_MAX)
        return refuse(ret_refusal, REASON_BAD_TIME,
                      "persistUntil=%" PRId64 " is not within 1970 to 9999",
                      record->until_s);

    r = buf_printf(ret, "%s; accounturi=%s%s", record->issuer,
                   record->accounturi,
                   record->wildcard ? "; policy=wildcard" : "");
    if (!r && record->until_s)
        r = buf_printf(ret, "; persistUntil=%" PRId64, record->until_s);
    return r;
}

static int persist_append_escaped(struct bytes part, struct buf *ret)
{
    int r = buf_append_char(ret, '"');

    for (size_t i = 0; r == 0 && i < part.len; i++) {
        uint8_t c = part.data[i];

        if (c < 0x20 || c > 0x7e)
            r = buf_printf(ret, "\\%03u", c);
        else if (c == '"' || c == '\\')
            r = buf_printf(ret, "\\%c", c);
        else
            r = buf_append_char(ret, (char)c);
    }
    return r ? r : buf_append_char(ret, '"');
}

int persist_split(struct bytes value, struct buf *ret)
{
    size_t done = 0;
    int r;

    /* Once even if there is nothing: no TXT record is without a string. */
    do {
        size_t left = value.len - done;
        struct bytes part = { value.data + done, left };

        if (part.len > PERSIST_STRING_MAX)
            part.len = PERSIST_STRING_MAX;
        r = done ? buf_append_char(ret, ' ') : 0;
        if (!r)
            r = persist_append_escaped(part, ret);
        done += part.len;
    } while (r == 0 && done < value.len);
    return r;
}
