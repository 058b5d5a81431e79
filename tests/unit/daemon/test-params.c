/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/params.h"

struct values {
    const char *text, *maybe;
    int64_t number;
    bool flag;
    const json_t *list, *object, *objects;
};

/* The parameter at fault, or "" when all is well. */
static const char *read_text(const char *text, struct values *v)
{
    const struct param params[] = {
        { "text", PARAM_STRING, false, { .string = &v->text } },
        { "maybe", PARAM_STRING, true, { .string = &v->maybe } },
        { "number", PARAM_NUMBER, true, { .number = &v->number } },
        { "flag", PARAM_BOOL, true, { .flag = &v->flag } },
        { "list", PARAM_STRINGS, true, { .json = &v->list } },
        { "object", PARAM_OBJECT, true, { .json = &v->object } },
        { "objects", PARAM_OBJECTS, true, { .json = &v->objects } },
    };
    static char bad_name[64];
    const char *bad = "";
    json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
    int r;

    assert_non_null(json);
    *v = (struct values){ 0 };
    r = params_read(json, params, ARRAY_LEN(params), &bad);
    assert_int_equal(r, *bad ? PARAMS_E_INVALID : 0);
    (void)snprintf(bad_name, sizeof(bad_name), "%s", bad);
    /* Strings stay valid with the object only: look at them before. */
    if (!*bad && v->text)
        assert_string_equal(v->text, "x");
    json_decref(json);
    return bad_name;
}

static void test_parameters_are_those_of_the_interface(void **state)
{
    static const struct {
        const char *text, *bad;
    } cases[] = {
        { "{\"text\":\"x\"}", "" },
        { "{\"text\":\"x\",\"maybe\":\"y\"}", "" },
        { "{\"text\":\"x\",\"maybe\":null}", "" },
        { "{\"text\":\"x\",\"number\":3,\"flag\":true,\"list\":[\"a\"],"
          "\"object\":{}}",
          "" },
        { "{}", "text" },
        { "{\"text\":null}", "text" },
        { "{\"text\":1}", "text" },
        { "{\"text\":\"x\\u0000y\"}", "text" },
        { "{\"text\":\"x\",\"maybe\":false}", "maybe" },
        { "{\"text\":\"x\",\"number\":-1}", "number" },
        { "{\"text\":\"x\",\"number\":1.5}", "number" },
        { "{\"text\":\"x\",\"number\":\"1\"}", "number" },
        { "{\"text\":\"x\",\"flag\":1}", "flag" },
        { "{\"text\":\"x\",\"list\":[1]}", "list" },
        { "{\"text\":\"x\",\"list\":\"a\"}", "list" },
        { "{\"text\":\"x\",\"object\":[]}", "object" },
        { "{\"text\":\"x\",\"objects\":[]}", "" },
        { "{\"text\":\"x\",\"objects\":[{},{\"a\":1}]}", "" },
        { "{\"text\":\"x\",\"objects\":[{},1]}", "objects" },
        { "{\"text\":\"x\",\"objects\":{}}", "objects" },
        { "{\"text\":\"x\",\"more\":1}", "more" },
        { "{\"text\":\"x\",\"Text\":\"x\"}", "Text" },
    };
    struct values v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].text);
        assert_string_equal(read_text(cases[i].text, &v), cases[i].bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_are_those_of_the_interface),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
