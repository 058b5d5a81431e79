/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-read.h"

#include <string.h>

#include "acme/rfc3339.h"
#include "base/json-depth.h"

/* Deeper than any object of RFC 8555, so that a member that we skip may be
 * what it likes, and not so deep that the parser is put to the test. */
#define DEPTH_MAX 32

static json_t *load(struct bytes body)
{
    size_t at;
    json_t *j = NULL;

    if (json_depth_within(body, DEPTH_MAX, &at))
        j = json_loadb(body.data ? (const char *)body.data : "", body.len,
                       JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(j))
        return j;
    json_decref(j);
    return NULL;
}

bool net_object_load(struct net_answer *a, const char *what, struct bytes body,
                     struct net_object *ret)
{
    json_t *j = load(body);

    if (!j) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the answer is not a JSON object, and so no %s", what);
        return false;
    }
    *ret = (struct net_object){ a, what, j, j };
    return true;
}

void net_object_deinit(struct net_object *o)
{
    json_decref(o->owned);
    *o = (struct net_object){ 0 };
}

static bool fail(const struct net_object *o, const char *name, const char *why)
{
    net_answer_fail(o->a, NET_RESULT_BAD_ANSWER, "the %s's %s %s", o->what,
                    name, why);
    return false;
}

/* A null counts as absent. False: there, and not of @type. */
static bool find(const struct net_object *o, const char *name, json_type type,
                 bool required, const json_t **ret)
{
    const json_t *j = json_object_get(o->json, name);

    *ret = json_is_null(j) ? NULL : j;
    if (!*ret && required) {
        net_answer_fail(o->a, NET_RESULT_BAD_ANSWER, "the %s has no %s",
                        o->what, name);
        return false;
    }
    if (*ret && json_typeof(*ret) != type)
        return fail(o, name,
                    type == JSON_STRING  ? "is not a string"
                    : type == JSON_ARRAY ? "is not an array"
                                         : "is not an object");
    return true;
}

static bool copy_exact(const struct net_object *o, const char *name,
                       const json_t *string, char *to, size_t max)
{
    const char *s = json_string_value(string);
    size_t n = json_string_length(string);

    if (n > max)
        return fail(o, name, "is too long");
    for (size_t i = 0; i < n; i++) {
        if (s[i] < 0x20 || s[i] > 0x7e)
            return fail(o, name, "is not printable ASCII");
    }
    memcpy(to, s, n);
    to[n] = '\0';
    return true;
}

bool net_object_exact(const struct net_object *o, const char *name,
                      bool required, char *to, size_t max)
{
    const json_t *j;

    if (!find(o, name, JSON_STRING, required, &j))
        return false;
    if (!j)
        return true;
    if (required && json_string_length(j) == 0)
        return fail(o, name, "is empty");
    return copy_exact(o, name, j, to, max);
}

bool net_object_word(const struct net_object *o, const char *name,
                     bool required, char to[static NET_STATUS_MAX + 1])
{
    return net_object_exact(o, name, required, to, NET_STATUS_MAX);
}

bool net_object_time(const struct net_object *o, const char *name,
                     int64_t *ret_s)
{
    const json_t *j;

    if (!find(o, name, JSON_STRING, false, &j))
        return false;
    if (j && rfc3339_read(json_bytes(j), false, ret_s, NULL))
        return fail(o, name, "is not a time as in RFC 3339");
    return true;
}

bool net_object_flag(const struct net_object *o, const char *name,
                     uint32_t *ret)
{
    const json_t *j = json_object_get(o->json, name);

    if (j && !json_is_null(j) && !json_is_boolean(j))
        return fail(o, name, "is neither true nor false");
    *ret = json_is_true(j);
    return true;
}

bool net_object_names(const struct net_object *o, const char *name,
                      struct net_names *ret)
{
    const json_t *list;

    if (!find(o, name, JSON_ARRAY, false, &list))
        return false;
    if (json_array_size(list) > NET_NAMES_MAX)
        return fail(o, name, "has too many entries");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_string(item) || json_string_length(item) == 0)
            return fail(o, name, "has an entry that is not a string");
        if (!copy_exact(o, name, item, ret->name[i], NET_NAME_MAX))
            return false;
    }
    ret->n = (uint32_t)json_array_size(list);
    return true;
}

void net_object_shown(const struct net_object *o, const char *name, char *to,
                      size_t max)
{
    const json_t *s = json_object_get(o->json, name);

    if (json_is_string(s))
        net_text(to, max, json_string_value(s), json_string_length(s));
}

/* "; NAME: DETAIL" behind what is there, as far as there is room. */
static void append_subproblem(struct net_problem *p, const json_t *sub)
{
    const json_t *id = json_object_get(sub, "identifier");
    const char *name = json_string_value(json_object_get(id, "value"));
    const char *detail = json_string_value(json_object_get(sub, "detail"));
    const char *parts[] = { p->detail[0] ? "; " : "", name ? name : "",
                            name && detail ? ": " : "", detail ? detail : "" };
    size_t n = strlen(p->detail);

    if (!name && !detail)
        return;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        net_text(p->detail + n, NET_DETAIL_MAX - n, parts[i], strlen(parts[i]));
        n += strlen(p->detail + n);
    }
}

static void read_problem(const json_t *problem, struct net_problem *ret)
{
    const struct net_object o = { .json = problem };
    const json_t *subs = json_object_get(problem, "subproblems");

    net_object_shown(&o, "type", ret->type, NET_TYPE_MAX);
    net_object_shown(&o, "detail", ret->detail, NET_DETAIL_MAX);
    for (size_t i = 0; i < json_array_size(subs); i++)
        append_subproblem(ret, json_array_get(subs, i));
}

void net_object_problem(const struct net_object *o, const char *name,
                        struct net_problem *ret)
{
    read_problem(json_object_get(o->json, name), ret);
}

void net_read_problem(struct net_answer *a, struct bytes body)
{
    CLEANUP_JSON json_t *problem = load(body);

    read_problem(problem, &a->problem);
}
