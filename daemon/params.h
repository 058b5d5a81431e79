/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

struct varlink_call;

/*
 * Reading a method's parameters: the ones that the interface file lists and no
 * others. An optional one may be left out or null.
 */

enum param_type {
    PARAM_UNSET = 0,
    PARAM_STRING,  /* ret.string */
    PARAM_NUMBER,  /* ret.number; not negative */
    PARAM_BOOL,    /* ret.flag */
    PARAM_STRINGS, /* ret.json: an array of strings */
    PARAM_OBJECT,  /* ret.json */
    PARAM_OBJECTS, /* ret.json: an array of objects */
};

struct param {
    const char *name;
    enum param_type type;
    bool optional;
    union {
        const char **string; /* no NUL inside */
        int64_t *number;
        bool *flag;
        const json_t **json;
    } ret; /* left alone when the parameter is absent */
};

/* Return: 0; PARAMS_E_INVALID with the name at fault, which lives in @object
 * or @params. */
int params_read(const json_t *object, const struct param *params, size_t n,
                const char **ret_bad) MUST_CHECK;
#define PARAMS_E_INVALID 1

/* params_borrow() - for members of rows that are only copied from. */
static inline char *params_borrow(const char *s)
{
    union {
        const char *borrowed;
        char *plain;
    } u = { s };

    return u.plain;
}

/* params_take() - the same; false: InvalidParameter was answered. */
bool params_take(struct varlink_call *call, const json_t *object,
                 const struct param *params, size_t n) MUST_CHECK;
