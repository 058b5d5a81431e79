/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/metrics.h"

static void test_a_bucket_takes_its_bound(void **state)
{
    struct metrics_histogram h = { 0 };
    uint64_t sum = 0;

    (void)state;
    for (size_t i = 0; i < METRICS_N_BOUNDS; i++) {
        metrics_observe(&h, metrics_bounds_us[i]);
        metrics_observe(&h, metrics_bounds_us[i] + 1);
        sum += 2 * metrics_bounds_us[i] + 1;
    }
    assert_int_equal(h.n[0], 1);
    for (size_t i = 1; i < METRICS_N_BOUNDS; i++)
        assert_int_equal(h.n[i], 2);
    assert_int_equal(h.n[METRICS_N_BOUNDS], 1);
    assert_int_equal(h.sum_us, sum);
    metrics_observe(&h, UINT64_C(1) << 50);
    assert_int_equal(h.n[METRICS_N_BOUNDS], 2);
    metrics_observe(&h, 0);
    assert_int_equal(h.n[0], 2);
}

static void test_bounds_ascend(void **state)
{
    (void)state;
    for (size_t i = 1; i < METRICS_N_BOUNDS; i++)
        assert_true(metrics_bounds_us[i - 1] < metrics_bounds_us[i]);
}

static uint64_t signing(const struct metrics *m)
{
    uint64_t n = 0;

    for (size_t i = 0; i <= METRICS_N_BOUNDS; i++)
        n += m->signing.n[i];
    return n;
}

static void test_only_what_is_signed_took_its_time(void **state)
{
    static struct metrics m;

    (void)state;
    metrics_count(&m, ACME_OP_ORDER, REASON_UNSET, metrics_now_us());
    metrics_count(&m, ACME_OP_ORDER, REASON_NO_RULE, metrics_now_us());
    metrics_count(&m, ACME_OP_UNSET, REASON_BAD_JSON, metrics_now_us());
    assert_int_equal(m.decisions[ACME_OP_ORDER][REASON_UNSET], 1);
    assert_int_equal(m.decisions[ACME_OP_ORDER][REASON_NO_RULE], 1);
    assert_int_equal(m.decisions[ACME_OP_UNSET][REASON_BAD_JSON], 1);
    assert_int_equal(signing(&m), 1);
    assert_true(m.signing.sum_us < 60000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bucket_takes_its_bound),
        cmocka_unit_test(test_bounds_ascend),
        cmocka_unit_test(test_only_what_is_signed_took_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
