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
    assert_int_equal(name_index_get(&ix, B("a")), 0);
    assert_int_equal(name_index_get(&ix, (struct bytes){ 0 }), 0);
}

static void test_merge_adds_bits(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };

    (void)state;
    assert_int_equal(name_index_merge(&ix, B("a.example"), 1), 0);
    assert_int_equal(name_index_merge(&ix, B("a.example"), 4), 0);
    assert_int_equal(name_index_merge(&ix, B("b.example"), 2), 0);
    assert_int_equal(name_index_get(&ix, B("a.example")), 5);
    assert_int_equal(name_index_get(&ix, B("b.example")), 2);
    assert_int_equal(name_index_get(&ix, B("a.exampl")), 0);
    assert_int_equal(name_index_get(&ix, B("c.example")), 0);
    assert_int_equal(ix.n, 2);
}

static void test_replace_gives_the_old_value(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    uint32_t old = 77;

    (void)state;
    assert_int_equal(name_index_replace(&ix, B("a"), 5, &old), 0);
    assert_int_equal(old, 0);
    assert_int_equal(name_index_replace(&ix, B("a"), 6, &old), 0);
    assert_int_equal(old, 5);
    assert_int_equal(name_index_get(&ix, B("a")), 6);
}

static void test_names_of_impossible_length_are_refused(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    static const uint8_t longest[NAME_INDEX_NAME_MAX + 1] = { 'x' };
    uint32_t old;

    (void)state;
    assert_int_equal(name_index_merge(&ix, B(""), 1), -E2BIG);
    assert_int_equal(
        name_index_merge(&ix, (struct bytes){ longest, sizeof(longest) }, 1),
        -E2BIG);
    assert_int_equal(
        name_index_replace(&ix, (struct bytes){ longest, sizeof(longest) }, 1,
                           &old),
        -E2BIG);
    assert_int_equal(
        name_index_merge(&ix, (struct bytes){ longest, sizeof(longest) - 1 },
                         1),
        0);
    assert_int_equal(ix.n, 1);
}

static void name_of(char text[static 32], unsigned i)
{
    (void)snprintf(text, 32, "h%u.example", i);
}

static int in_order(struct bytes name, uint32_t value, void *userdata)
{
    unsigned *next = userdata;
    char text[32];

    name_of(text, *next);
    assert_true(bytes_eq_str(name, text));
    (*next)++;
    assert_int_equal(value, *next);
    return *next == 2900 ? 42 : 0;
}

static void test_many_names_are_found_again_and_listed_in_order(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    unsigned next = 0;
    char text[32];

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        name_of(text, i);
        assert_int_equal(name_index_merge(&ix, B(text), i + 1), 0);
    }
    for (unsigned i = 0; i < 6000; i++) {
        name_of(text, i);
        assert_int_equal(name_index_get(&ix, B(text)), i < 3000 ? i + 1 : 0);
    }
    assert_int_equal(name_index_each(&ix, in_order, &next), 42);
    assert_int_equal(next, 2900);
}

static void test_each_index_has_its_own_key(void **state)
{
    CLEANUP_INDEX struct name_index a = { 0 };
    CLEANUP_INDEX struct name_index b = { 0 };

    (void)state;
    assert_int_equal(name_index_merge(&a, B("a"), 1), 0);
    assert_int_equal(name_index_merge(&b, B("a"), 1), 0);
    assert_memory_not_equal(a.key, b.key, sizeof(a.key));
}

static void test_reserve_makes_room_at_once(void **state)
{
    CLEANUP_INDEX struct name_index ix = { 0 };
    size_t mask;
    char text[32];

    (void)state;
    assert_int_equal(name_index_reserve(&ix, 1000), 0);
    mask = ix.mask;
    assert_true(mask >= 1999);
    for (unsigned i = 0; i < 1000; i++) {
        name_of(text, i);
        assert_int_equal(name_index_merge(&ix, B(text), 1), 0);
    }
    assert_int_equal(ix.mask, mask);
    assert_int_equal(name_index_reserve(&ix, 10), 0);
    assert_int_equal(ix.mask, mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_index_has_nothing),
        cmocka_unit_test(test_merge_adds_bits),
        cmocka_unit_test(test_replace_gives_the_old_value),
        cmocka_unit_test(test_names_of_impossible_length_are_refused),
        cmocka_unit_test(test_many_names_are_found_again_and_listed_in_order),
        cmocka_unit_test(test_each_index_has_its_own_key),
        cmocka_unit_test(test_reserve_makes_room_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
