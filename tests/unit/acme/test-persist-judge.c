/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include "acme/persist.h"

#define LIST_MAX 16

static size_t read_list(const json_t *array, const char *ret[LIST_MAX + 1])
{
    size_t n = json_array_size(array);

    assert_in_range(n, 0, LIST_MAX);
    for (size_t i = 0; i < n; i++)
        ret[i] = json_string_value(json_array_get(array, i));
    ret[n] = NULL;
    return n;
}

static size_t read_values(const json_t *records, struct buf values[LIST_MAX])
{
    size_t n = json_array_size(records);
    size_t j;
    json_t *s;

    assert_in_range(n, 0, LIST_MAX);
    for (size_t i = 0; i < n; i++) {
        json_array_foreach(json_array_get(records, i), j, s)
        {
            assert_int_equal(
                buf_append_str(&values[i], json_string_value(s)), 0);
        }
    }
    return n;
}

static void check_vector(const json_t *c)
{
    const char *issuers[LIST_MAX + 1], *accepted[LIST_MAX + 1];
    struct buf values[LIST_MAX] = { 0 };
    struct bytes plain[LIST_MAX];
    size_t n = read_values(json_object_get(c, "records"), values);
    struct persist_question q = {
        .wildcard = json_is_true(json_object_get(c, "wildcard")),
        .issuers = issuers,
        .accepted = accepted,
        .now_s = json_integer_value(json_object_get(c, "now")),
    };
    enum persist_verdict verdict = PERSIST_UNSET;
    enum persist_reason reason = PERSIST_REASON_NO_RECORD;

    (void)read_list(json_object_get(c, "issuers"), issuers);
    (void)read_list(json_object_get(c, "accepted"), accepted);
    for (size_t i = 0; i < n; i++)
        plain[i] = buf_bytes(&values[i]);
    assert_int_equal(persist_judge(plain, n, &q, &verdict, &reason), 0);
    if (strcmp(persist_verdict_name(verdict), vectors_str(c, "verdict")) != 0)
        fail_msg("%s: %s %s, want %s", vectors_str(c, "id"),
                 persist_verdict_name(verdict), persist_reason_code(reason),
                 vectors_str(c, "verdict"));
    for (size_t i = 0; i < n; i++)
        buf_deinit(&values[i]);
}

static void test_vectors(void **state)
{
    json_t *cases = vectors_load("dns-persist-check.json");
    size_t i;
    json_t *c;

    (void)state;
    json_array_foreach(cases, i, c)
    {
        check_vector(c);
    }
    assert_int_equal(i, 25);
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
