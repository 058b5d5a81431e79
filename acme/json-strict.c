/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/json-strict.h"

#include <errno.h>
#include <string.h>

#include "base/json-depth.h"

/*
 * jansson refuses what RFC 8259 refuses, and lone surrogates, integers beyond
 * 64 bits and "\u0000" besides. A NUL in the text itself it loses where it
 * looks one octet ahead: behind a number, true, false and null. That and depth
 * are settled before it sees the text.
 */
static int json_check_nul(struct bytes text, struct refusal *ret_refusal)
{
    const uint8_t *nul = text.len ? memchr(text.data, 0, text.len) : NULL;

    if (nul)
        return refuse_at(ret_refusal, REASON_BAD_JSON,
                         (size_t)(nul - text.data), "a NUL");
    return 0;
}

static int json_check_depth(struct bytes text, struct refusal *ret_refusal)
{
    size_t at = 0;

    if (!json_depth_within(text, JSON_STRICT_DEPTH, &at))
        return refuse_at(ret_refusal, REASON_TOO_DEEP, at,
                         "nested deeper than %d", JSON_STRICT_DEPTH);
    return 0;
}

int json_strict_read(struct bytes text, json_t **ret,
                     struct refusal *ret_refusal)
{
    json_error_t error;
    enum json_error_code code;
    json_t *json;
    int r;

    if (text.len > JSON_STRICT_MAX)
        return refuse(ret_refusal, REASON_TOO_LARGE, "JSON of %zu octets",
                      text.len);
    r = json_check_nul(text, ret_refusal);
    if (r)
        return r;
    r = json_check_depth(text, ret_refusal);
    if (r)
        return r;

    json = json_loadb(text.data ? (const char *)text.data : "", text.len,
                      JSON_REJECT_DUPLICATES, &error);
    if (json) {
        *ret = json;
        return 0;
    }

    code = json_error_code(&error);
    if (code == json_error_out_of_memory)
        return -ENOMEM;
    if (code == json_error_duplicate_key)
        return refuse_at(ret_refusal, REASON_DUPLICATE_MEMBER,
                         (size_t)error.position, "%s", error.text);
    return refuse_at(ret_refusal, REASON_BAD_JSON, (size_t)error.position, "%s",
                     error.text);
}

static bool json_has_type(const json_t *value, json_type type)
{
    if (type == JSON_TRUE)
        return json_is_boolean(value);
    return json_typeof(value) == type;
}

static const struct json_member *
json_find_member(const struct json_member *members, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    }
    return NULL;
}

/* jansson's iterators take no const object and change nothing. */
static json_t *json_unconst(const json_t *object)
{
    union {
        const json_t *from;
        json_t *to;
    } u = { .from = object };

    return u.to;
}

int json_strict_members(const json_t *object, const struct json_member *members,
                        size_t n, struct refusal *ret_refusal)
{
    json_t *o = json_unconst(object);

    if (!json_is_object(object))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "not an object");

    for (void *it = json_object_iter(o); it;
         it = json_object_iter_next(o, it)) {
        const char *name = json_object_iter_key(it);
        const struct json_member *m = json_find_member(members, n, name);

        if (!m)
            return refuse(ret_refusal, REASON_UNKNOWN_MEMBER, "%s", name);
        if (!json_has_type(json_object_iter_value(it), m->type))
            return refuse(ret_refusal, REASON_WRONG_TYPE, "%s", name);
    }

    for (size_t i = 0; i < n; i++) {
        json_t *value = json_object_get(object, members[i].name);

        if (!value && members[i].required)
            return refuse(ret_refusal, REASON_MISSING_MEMBER, "%s",
                          members[i].name);
        if (members[i].ret)
            *members[i].ret = value;
    }
    return 0;
}

struct bytes json_bytes(const json_t *string)
{
    return (struct bytes){ (const uint8_t *)json_string_value(string),
                           json_string_length(string) };
}

int json_strict_copy(const json_t *string, char **ret)
{
    char *copy = NULL;

    if (string) {
        copy = strdup(json_string_value(string));
        if (!copy)
            return -ENOMEM;
    }
    *ret = copy;
    return 0;
}
