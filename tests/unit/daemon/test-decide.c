/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

/* MaxValidity= counts from now: a caller without a clock gets no dates. */
static void test_the_policy_is_told_who_and_when(void **state)
{
    gid_t gids[] = { 7, 8 };
    char unit[] = "web.service";
    struct peer peer = {
        .uid = 5, .gids = gids, .n_gids = 2, .unit = unit, .unit_certain = true
    };
    time_t before = time(NULL);
    struct policy_caller caller = decide_caller(&peer, "tenant");

    (void)state;
    assert_int_equal(caller.uid, 5);
    assert_int_equal(caller.n_gids, 2);
    assert_ptr_equal(caller.gids, gids);
    assert_string_equal(caller.unit, "web.service");
    assert_true(caller.unit_certain);
    assert_string_equal(caller.socket, "tenant");
    assert_true(caller.now >= before && caller.now <= time(NULL));
}

/* Also of another account of ours than the one that orders. */
static void test_no_account_key_is_certified(void **state)
{
    static const struct {
        enum acme_op op;
        uint8_t key;
        int want;
    } cases[] = {
        { ACME_OP_FINALIZE, 1, REFUSED }, { ACME_OP_FINALIZE, 2, REFUSED },
        { ACME_OP_FINALIZE, 3, 0 },       { ACME_OP_ORDER, 2, 0 },
        { ACME_OP_REVOKE, 0, 0 },
    };
    struct account a[2] = { 0 };
    struct account *items[] = { &a[0], &a[1] };
    const struct accounts accounts = { .items = items, .n = ARRAY_LEN(items) };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(a); i++)
        a[i].row.acme.jwk =
            (struct jwk){ .type = JWK_TYPE_P256, .x = { (uint8_t)(i + 1) } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct acme_request rq = {
            .op = cases[i].op,
            .csr.key = { .type = JWK_TYPE_P256, .x = { cases[i].key } },
        };
        struct refusal refusal = { 0 };

        assert_int_equal(decide_csr_key(&accounts, &rq, &refusal),
                         cases[i].want);
        assert_int_equal(refusal.reason,
                         cases[i].want ? REASON_ACCOUNT_KEY : REASON_UNSET);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_policy_is_told_who_and_when),
        cmocka_unit_test(test_no_account_key_is_certified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
