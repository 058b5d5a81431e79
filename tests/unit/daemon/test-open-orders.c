/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/open-orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define DRAIN 120000

static struct open_orders o;

static int teardown(void **state)
{
    (void)state;
    open_orders_deinit(&o);
    return 0;
}

static struct identifiers names(const char *a, const char *b)
{
    static struct identifier items[2];

    items[0] = (struct identifier){ .type = IDENTIFIER_DNS,
                                    .value = (char *)(uintptr_t)a };
    items[1] = (struct identifier){ .type = IDENTIFIER_DNS,
                                    .value = (char *)(uintptr_t)b };
    return (struct identifiers){ items, b ? 2 : 1 };
}

static void begin(const char *a, const char *b, uint64_t ms)
{
    struct identifiers ids = names(a, b);

    open_orders_begin(&o, &ids, ms);
}

static void finish(const char *a, const char *b)
{
    struct identifiers ids = names(a, b);

    open_orders_finish(&o, &ids);
}

static void test_from_its_order_until_its_finalize(void **state)
{
    (void)state;
    begin("a.example", "b.example", 1000);
    assert_int_equal(open_orders_count(&o, DRAIN, 1000), 1);
    finish("a.example", NULL);
    assert_int_equal(open_orders_count(&o, DRAIN, 1000), 1);
    finish("b.example", "a.example"); /* a CSR has them in another order */
    assert_int_equal(open_orders_count(&o, DRAIN, 1000), 0);
    finish("b.example", "a.example");
    assert_int_equal(open_orders_count(&o, DRAIN, 1000), 0);
}

static void test_each_counts(void **state)
{
    (void)state;
    begin("a.example", NULL, 1000);
    begin("a.example", NULL, 2000);
    begin("b.example", NULL, 3000);
    assert_int_equal(open_orders_count(&o, DRAIN, 3000), 3);
    finish("a.example", NULL);
    assert_int_equal(open_orders_count(&o, DRAIN, 3000), 2);
}

/* One that was left open for good ends no later because of another one. */
static void test_each_ends_by_itself(void **state)
{
    (void)state;
    begin("a.example", NULL, 1000);
    begin("a.example", NULL, 1000 + DRAIN - 1);
    assert_int_equal(open_orders_count(&o, DRAIN, 1000 + DRAIN - 1), 2);
    assert_int_equal(open_orders_count(&o, DRAIN, 1000 + DRAIN), 1);
    finish("a.example", NULL); /* the older one is taken for finished */
    assert_int_equal(open_orders_count(&o, DRAIN, 1000 + DRAIN), 1);
    finish("a.example", NULL);
    assert_int_equal(open_orders_count(&o, DRAIN, 1000 + DRAIN), 0);
}

static void test_one_that_is_left_open_is_not_waited_for(void **state)
{
    (void)state;
    begin("a.example", NULL, 1000);
    assert_int_equal(open_orders_count(&o, DRAIN, 1000 + DRAIN - 1), 1);
    assert_int_equal(open_orders_count(&o, DRAIN, 1000 + DRAIN), 0);
    assert_int_equal(open_orders_count(&o, 0, 1000), 0);
}

static void test_what_cannot_be_kept_is_not_forgotten(void **state)
{
    char name[32];

    (void)state;
    for (unsigned i = 0; i < OPEN_ORDERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%u.example", i);
        begin(name, NULL, 1000);
    }
    assert_int_equal(open_orders_count(&o, DRAIN, 1000), OPEN_ORDERS_MAX);
    assert_false(open_orders_unknown(&o, DRAIN, 1000));
    begin("one-more.example", NULL, 2000);
    assert_true(open_orders_unknown(&o, DRAIN, 2000 + DRAIN - 1));
    assert_false(open_orders_unknown(&o, DRAIN, 2000 + DRAIN));
    /* Old ones make room. */
    begin("later.example", NULL, 1000 + OPEN_ORDERS_KEEP_MS);
    assert_int_equal(o.n, 1);
}

/* To look for old ones costs more than the rest: not for each order. */
static void test_old_ones_go_within_a_second(void **state)
{
    const uint64_t end = 1000 + OPEN_ORDERS_KEEP_MS;

    (void)state;
    begin("a.example", NULL, 1000);
    begin("b.example", NULL, end - 1);
    begin("c.example", NULL, end);
    assert_int_equal(o.n, 3);
    assert_int_equal(open_orders_count(&o, OPEN_ORDERS_KEEP_MS, end), 2);
    begin("d.example", NULL, end + 999);
    assert_int_equal(o.n, 3);
}

#define ORDERS_TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ORDERS_TEST(test_from_its_order_until_its_finalize),
        ORDERS_TEST(test_each_counts),
        ORDERS_TEST(test_each_ends_by_itself),
        ORDERS_TEST(test_one_that_is_left_open_is_not_waited_for),
        ORDERS_TEST(test_what_cannot_be_kept_is_not_forgotten),
        ORDERS_TEST(test_old_ones_go_within_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
