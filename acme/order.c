/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/order.h"

#include <string.h>

#include "acme/b64url.h"
#include "acme/json-strict.h"
#include "acme/rfc3339.h"

static int order_read_identifier(const json_t *item, struct identifiers *ids,
                                 struct refusal *ret_refusal)
{
    json_t *type, *value;
    const struct json_member members[] = {
        { "type", JSON_STRING, true, &type },
        { "value", JSON_STRING, true, &value },
    };
    int r;

    r = json_strict_members(item, members, ARRAY_LEN(members), ret_refusal);
    if (r)
        return r;
    if (strcmp(json_string_value(type), "dns") == 0)
        return identifiers_add(ids, IDENTIFIER_DNS, json_bytes(value),
                               ret_refusal);
    if (strcmp(json_string_value(type), "ip") == 0)
        return identifiers_add(ids, IDENTIFIER_IP, json_bytes(value),
                               ret_refusal);
    return refuse(ret_refusal, REASON_IDENTIFIER_TYPE, "%s",
                  json_string_value(type));
}

static int order_read_identifiers(const json_t *array, struct identifiers *ids,
                                  struct refusal *ret_refusal)
{
    size_t n = json_array_size(array);

    if (n == 0)
        return refuse(ret_refusal, REASON_NO_IDENTIFIERS, "identifiers");
    for (size_t i = 0; i < n; i++) {
        int r =
            order_read_identifier(json_array_get(array, i), ids, ret_refusal);

        if (r)
            return r;
    }
    return 0;
}

static bool order_is_profile(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    }
    return text.len > 0 && text.len <= ORDER_PROFILE_MAX;
}

static int order_read_profile(const json_t *value, char **ret,
                              struct refusal *ret_refusal)
{
    if (!value)
        return 0;
    if (!order_is_profile(json_bytes(value)))
        return refuse(ret_refusal, REASON_BAD_VALUE, "profile");
    return json_strict_copy(value, ret);
}

/* base64url of the authority key identifier, a dot, base64url of the serial
 * number (RFC 9773 section 4.1). */
static int order_check_replaces(struct bytes text, struct refusal *ret_refusal)
{
    CLEANUP_BUF struct buf b = { 0 };
    size_t key_len = b64url_span(text);
    struct bytes key = { text.data, key_len };
    struct bytes serial;
    int r;

    if (text.len > ORDER_REPLACES_MAX)
        return refuse(ret_refusal, REASON_BAD_VALUE, "long replaces");
    if (key_len == 0)
        return refuse(ret_refusal, REASON_BAD_VALUE, "replaces no key");
    if (text.len < key_len + 2)
        return refuse(ret_refusal, REASON_BAD_VALUE, "replaces no serial");
    if (text.data[key_len] != '.')
        return refuse(ret_refusal, REASON_BAD_VALUE, "replaces without dot");
    serial = (struct bytes){ text.data + key_len + 1, text.len - key_len - 1 };
    r = b64url_decode(key, &b, ret_refusal);
    if (r)
        return r;
    return b64url_decode(serial, &b, ret_refusal);
}

static int order_read_replaces(const json_t *value, char **ret,
                               struct refusal *ret_refusal)
{
    int r;

    if (!value)
        return 0;
    r = order_check_replaces(json_bytes(value), ret_refusal);
    if (r)
        return r;
    return json_strict_copy(value, ret);
}

/* A fraction of a second makes the asked-for time longer, never shorter. */
static int order_read_times(const json_t *not_before, const json_t *not_after,
                            struct acme_request *req,
                            struct refusal *ret_refusal)
{
    int r;

    if (not_before) {
        r = rfc3339_read(json_bytes(not_before), false, &req->not_before,
                         ret_refusal);
        if (r)
            return r;
    }
    if (not_after) {
        r = rfc3339_read(json_bytes(not_after), true, &req->not_after,
                         ret_refusal);
        if (r)
            return r;
        if (req->not_after <= req->not_before)
            return refuse(ret_refusal, REASON_BAD_TIME,
                          "notAfter is not after notBefore");
    }
    return 0;
}

int order_read(const json_t *payload, struct acme_request *req,
               struct refusal *ret_refusal)
{
    json_t *identifiers, *profile, *not_before, *not_after, *replaces;
    const struct json_member members[] = {
        { "identifiers", JSON_ARRAY, true, &identifiers },
        { "profile", JSON_STRING, false, &profile },
        { "notBefore", JSON_STRING, false, &not_before },
        { "notAfter", JSON_STRING, false, &not_after },
        { "replaces", JSON_STRING, false, &replaces },
    };
    int r;

    r = json_strict_members(payload, members, ARRAY_LEN(members), ret_refusal);
    if (r)
        return r;
    r = order_read_identifiers(identifiers, &req->identifiers, ret_refusal);
    if (r)
        return r;
    r = order_read_profile(profile, &req->profile, ret_refusal);
    if (r)
        return r;
    r = order_read_replaces(replaces, &req->replaces, ret_refusal);
    if (r)
        return r;
    r = order_read_times(not_before, not_after, req, ret_refusal);
    if (r)
        return r;
    req->op = ACME_OP_ORDER;
    return 0;
}
