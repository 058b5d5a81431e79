/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/params.h"

#include <string.h>

#include "ipc/varlink-server.h"

static bool is_string(const json_t *value)
{
    return json_is_string(value) &&
           strlen(json_string_value(value)) == json_string_length(value);
}

static bool is_strings(const json_t *value)
{
    size_t i;
    const json_t *item;

    if (!json_is_array(value))
        return false;
    json_array_foreach(value, i, item)
    {
        if (!is_string(item))
            return false;
    }
    return true;
}

static bool is_objects(const json_t *value)
{
    size_t i;
    const json_t *item;

    if (!json_is_array(value))
        return false;
    json_array_foreach(value, i, item)
    {
        if (!json_is_object(item))
            return false;
    }
    return true;
}

static bool take_json(const struct param *p, const json_t *value)
{
    *p->ret.json = value;
    return true;
}

/* False: not of this type. */
static bool take(const struct param *p, const json_t *value)
{
    switch (p->type) {
    case PARAM_STRING:
        if (!is_string(value))
            return false;
        *p->ret.string = json_string_value(value);
        return true;
    case PARAM_NUMBER:
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        *p->ret.number = json_integer_value(value);
        return true;
    case PARAM_BOOL:
        if (!json_is_boolean(value))
            return false;
        *p->ret.flag = json_is_true(value);
        return true;
    case PARAM_STRINGS:
        return is_strings(value) && take_json(p, value);
    case PARAM_OBJECT:
        return json_is_object(value) && take_json(p, value);
    case PARAM_OBJECTS:
        return is_objects(value) && take_json(p, value);
    case PARAM_UNSET:
        break;
    }
    return false;
}

/* Iterating changes nothing, though jansson wants it without const. */
static json_t *unconst(const json_t *object)
{
    union {
        const json_t *borrowed;
        json_t *plain;
    } u = { object };

    return u.plain;
}

/* A member that no parameter took. */
static const char *find_unknown(const json_t *object,
                                const struct param *params, size_t n)
{
    json_t *o = unconst(object);

    for (void *i = json_object_iter(o); i; i = json_object_iter_next(o, i)) {
        size_t k = 0;

        while (k < n && strcmp(params[k].name, json_object_iter_key(i)) != 0)
            k++;
        if (k == n)
            return json_object_iter_key(i);
    }
    return NULL;
}

int params_read(const json_t *object, const struct param *params, size_t n,
                const char **ret_bad)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(object, params[i].name);

        found += value != NULL;
        if (json_is_null(value))
            value = NULL;
        if (value ? !take(&params[i], value) : !params[i].optional) {
            *ret_bad = params[i].name;
            return PARAMS_E_INVALID;
        }
    }
    if (found == json_object_size(object))
        return 0;
    *ret_bad = find_unknown(object, params, n);
    return PARAMS_E_INVALID;
}

bool params_take(struct varlink_call *call, const json_t *object,
                 const struct param *params, size_t n)
{
    const char *bad = NULL;

    if (params_read(object, params, n, &bad) == 0)
        return true;
    varlink_error_invalid_parameter(call, bad);
    return false;
}
