/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit-limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/audit.h"

#define START 1000000ULL

static unsigned take(struct audit_limit *l, uid_t uid, uint64_t now, unsigned n)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < n; i++)
        taken += audit_limit_take(l, uid, now);
    return taken;
}

static void test_uid_has_a_burst_and_then_a_trickle(void **state)
{
    struct audit_limit l = { 0 };

    (void)state;
    assert_int_equal(take(&l, 1, START, 1000), AUDIT_REFUSALS_BURST);
    assert_int_equal(take(&l, 1, START + AUDIT_REFUSAL_EVERY_MS - 1, 9), 0);
    assert_int_equal(take(&l, 1, START + AUDIT_REFUSAL_EVERY_MS, 9), 1);
    assert_int_equal(take(&l, 1, START + 3 * AUDIT_REFUSAL_EVERY_MS, 9), 2);
    assert_int_equal(take(&l, 1, START + 99 * AUDIT_REFUSAL_EVERY_MS, 99),
                     AUDIT_REFUSALS_BURST);
}

static void test_one_uid_does_not_use_up_another(void **state)
{
    struct audit_limit l = { 0 };

    (void)state;
    (void)take(&l, 1, START, 100000);
    assert_int_equal(take(&l, 2, START, 1000), AUDIT_REFUSALS_BURST);
}

static void test_all_uids_together_are_limited(void **state)
{
    struct audit_limit l = { 0 };
    unsigned taken = 0;

    (void)state;
    for (uid_t uid = 0; uid < 10000; uid++)
        taken += take(&l, uid, START, 30);
    assert_int_equal(taken, AUDIT_ALL_REFUSALS_BURST);
    assert_int_equal(take(&l, 70000, START + AUDIT_ALL_REFUSAL_EVERY_MS, 9), 1);
}

static void test_every_refusal_is_written_or_counted(void **state)
{
    struct audit_limit l = { 0 };
    uint64_t taken = 0, counted = 0, n;
    uid_t uid;

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        taken += audit_limit_take(&l, (uid_t)(i * 7919) % 1000, START + i / 9);
    audit_limit_count(&l, 5, START);
    while ((n = audit_limit_next(&l, &uid)) > 0)
        counted += n;
    assert_int_equal(taken + counted, 100001);
    assert_int_equal(audit_limit_next(&l, &uid), 0);
}

static void test_counts_are_by_uid_until_joined(void **state)
{
    struct audit_limit l = { 0 };
    uid_t uid;

    (void)state;
    audit_limit_count(&l, 0, START);
    audit_limit_count(&l, 7, START);
    audit_limit_count(&l, 7, START);
    assert_int_equal(audit_limit_next(&l, &uid), 1);
    assert_int_equal(uid, 0);
    audit_limit_join(&l);
    assert_int_equal(audit_limit_next(&l, &uid), 2);
    assert_int_equal(uid, (uid_t)-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uid_has_a_burst_and_then_a_trickle),
        cmocka_unit_test(test_one_uid_does_not_use_up_another),
        cmocka_unit_test(test_all_uids_together_are_limited),
        cmocka_unit_test(test_every_refusal_is_written_or_counted),
        cmocka_unit_test(test_counts_are_by_uid_until_joined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
