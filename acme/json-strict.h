/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "acme/reason.h"
#include "base/bytes.h"

/*
 * JSON as every reader reads it: one value, valid UTF-8, no duplicate member
 * names at any depth, no NUL, nesting at most JSON_STRICT_DEPTH. Member sets
 * are closed by json_strict_members(), which also settles names that differ in
 * case only (Go's reader takes them for the same).
 */

#define JSON_STRICT_DEPTH 8
#define JSON_STRICT_MAX (48 * 1024)

/* Return: 0 and a new reference; REFUSED; -ENOMEM. */
int json_strict_read(struct bytes text, json_t **ret,
                     struct refusal *ret_refusal) MUST_CHECK;

struct json_member {
    const char *name;
    json_type type; /* JSON_TRUE stands for either boolean */
    bool required;
    json_t **ret; /* borrowed reference; NULL when absent. May be NULL. */
};

/**
 * json_strict_members() - @object has these members and no others
 *
 * Return: 0; REFUSED (wrong-type, unknown-member, missing-member).
 */
int json_strict_members(const json_t *object, const struct json_member *members,
                        size_t n, struct refusal *ret_refusal) MUST_CHECK;

static inline void json_decref_p(json_t **j)
{
    json_decref(*j);
}
#define CLEANUP_JSON CLEANUP(json_decref_p)

/* A JSON string's octets, borrowed. */
struct bytes json_bytes(const json_t *string);

/* json_strict_copy() - a JSON string as a C string; NULL for NULL.
 * Return: 0; -ENOMEM. */
int json_strict_copy(const json_t *string, char **ret) MUST_CHECK;
