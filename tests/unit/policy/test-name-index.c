/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/name-index.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define B(s) bytes_from_str(s)
#define CLEANUP_INDEX CLEANUP(name_index_deinit)

static void test_empty_index_has_nothing(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };

    (void)state;
    assert_false(name_index_has(&ix, B("a")));
    assert_false(name_index_has(&ix, (struct bytes){ 0 }));
    assert_int_equal(name_index_get(&ix, B("a")), 0);
    assert_int_equal(name_index_fit(&ix), 0);
}

static void test_set_has_what_was_added(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    struct name_hash h;

    (void)state;
    assert_int_equal(name_index_add(&ix, B("a.example")), 0);
    assert_int_equal(name_index_add(&ix, B("a.example")), 0);
    assert_int_equal(name_index_add(&ix, B("b.example")), 0);
    assert_true(name_index_has(&ix, B("a.example")));
    assert_true(name_index_has(&ix, B("b.example")));
    assert_false(name_index_has(&ix, B("a.exampl")));
    assert_false(name_index_has(&ix, B("a.example.")));
    assert_false(name_index_has(&ix, B("c.example")));
    assert_int_equal(ix.n, 2);
    h = name_index_hash(&ix, B("b.example"));
    assert_true(name_index_has_hashed(&ix, &h));
    h = name_index_hash(&ix, B("c.example"));
    assert_false(name_index_has_hashed(&ix, &h));
    assert_int_equal(name_index_get(&ix, B("a.example")), 0);
}

static void test_put_gives_the_old_value(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    uint32_t old = 77;

    (void)state;
    assert_int_equal(name_index_put(&ix, B("a"), 5, &old), 0);
    assert_int_equal(old, 0);
    assert_int_equal(name_index_put(&ix, B("a"), 6, &old), 0);
    assert_int_equal(old, 5);
    assert_int_equal(name_index_get(&ix, B("a")), 6);
    assert_int_equal(name_index_get(&ix, B("b")), 0);
}

static void test_names_of_impossible_length_are_refused(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    static const uint8_t longest[NAME_INDEX_NAME_MAX + 1] = { 'x' };
    struct bytes name = { longest, sizeof(longest) };
    uint32_t old;

    (void)state;
    assert_int_equal(name_index_add(&ix, B("")), -E2BIG);
    assert_int_equal(name_index_add(&ix, name), -E2BIG);
    assert_int_equal(name_index_put(&ix, name, 1, &old), -E2BIG);
    name.len--;
    assert_int_equal(name_index_add(&ix, name), 0);
    assert_int_equal(ix.n, 1);
}

static void name_of(char text[static 32], unsigned i)
{
    (void)snprintf(text, 32, "h%u.example", i);
}

static int in_order(struct bytes name, void *userdata)
{
    unsigned *next = userdata;
    char text[32];

    name_of(text, (*next)++);
    assert_true(bytes_eq_str(name, text));
    return *next == 2900 ? 42 : 0;
}

static void check_many(const struct name_index *ix)
{
    char text[32];

    for (unsigned i = 0; i < 6000; i++) {
        name_of(text, i);
        assert_int_equal(name_index_get(ix, B(text)), i < 3000 ? i + 1 : 0);
        assert_int_equal(name_index_has(ix, B(text)), i < 3000);
    }
}

static void test_many_names_are_found_again_and_listed_in_order(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    unsigned next = 0;
    char text[32];
    uint32_t old;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        name_of(text, i);
        assert_int_equal(name_index_put(&ix, B(text), i + 1, &old), 0);
        assert_int_equal(old, 0);
    }
    check_many(&ix);
    assert_int_equal(name_index_each(&ix, in_order, &next), 42);
    assert_int_equal(next, 2900);
}

static void test_fit_gives_room_back_and_loses_nothing(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    size_t before = 0;
    char text[32];
    uint32_t old;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        name_of(text, i);
        assert_int_equal(name_index_put(&ix, B(text), i + 1, &old), 0);
    }
    before = ix.n_buckets;
    assert_int_equal(name_index_fit(&ix), 0);
    assert_true(ix.n_buckets < before);
    assert_true(ix.n_buckets * 8 > 3000);
    check_many(&ix);
}

static void test_each_index_has_its_own_key(void **state)
{
    CLEANUP_INDEX struct name_index a = { 0 };
    CLEANUP_INDEX struct name_index b = { 0 };

    (void)state;
    assert_int_equal(name_index_add(&a, B("a")), 0);
    assert_int_equal(name_index_add(&b, B("a")), 0);
    assert_memory_not_equal(a.key, b.key, sizeof(a.key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_index_has_nothing),
        cmocka_unit_test(test_set_has_what_was_added),
        cmocka_unit_test(test_put_gives_the_old_value),
        cmocka_unit_test(test_names_of_impossible_length_are_refused),
        cmocka_unit_test(test_many_names_are_found_again_and_listed_in_order),
        cmocka_unit_test(test_fit_gives_room_back_and_loses_nothing),
        cmocka_unit_test(test_each_index_has_its_own_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
