/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/linger.h"

/* A request that takes @answer_us, by the only client. */
static void one(struct linger *l, uint64_t *now_us, uint64_t answer_us)
{
    linger_note(l, 1, *now_us);
    *now_us += answer_us;
    linger_note(l, 0, *now_us);
}

static struct linger hot(uint64_t *now_us, uint64_t answer_us)
{
    struct linger l = { .useful = true };

    for (int i = 0; i < LINGER_STREAK; i++) {
        assert_false(linger_wants(&l, *now_us));
        one(&l, now_us, answer_us);
        *now_us += 20;
    }
    *now_us -= 20;
    return l;
}

static void test_the_one_client_finds_us_awake(void **state)
{
    uint64_t now_us = 1000;
    struct linger l = hot(&now_us, 80);

    (void)state;
    assert_true(linger_wants(&l, now_us + LINGER_CLIENT_US - 1));
    assert_false(linger_wants(&l, now_us + LINGER_CLIENT_US));
    linger_note(&l, 1, now_us);
    assert_true(linger_wants(&l, now_us + 2 * 80 - 1));
    assert_false(linger_wants(&l, now_us + 2 * 80));
}

static void test_nothing_keeps_us_awake_for_nothing(void **state)
{
    uint64_t now_us = 1000;
    struct linger l = hot(&now_us, 80);

    (void)state;
    /* a timer, say */
    linger_note(&l, 0, now_us);
    assert_false(linger_wants(&l, now_us));
}

static void test_a_slow_token_is_not_waited_for(void **state)
{
    uint64_t now_us = 1000;
    struct linger l = hot(&now_us, LINGER_TOKEN_MAX_US);

    (void)state;
    linger_note(&l, 1, now_us);
    assert_false(linger_wants(&l, now_us));
}

static void test_one_slow_answer_changes_little(void **state)
{
    uint64_t now_us = 1000;
    struct linger l = hot(&now_us, 60);

    (void)state;
    one(&l, &now_us, 200);
    linger_note(&l, 1, now_us);
    assert_true(linger_wants(&l, now_us));
}

static void test_several_clients_end_it(void **state)
{
    uint64_t now_us = 1000;
    struct linger l = hot(&now_us, 80);

    (void)state;
    linger_note(&l, 1, now_us);
    linger_note(&l, 2, now_us);
    assert_false(linger_wants(&l, now_us));
    linger_note(&l, 1, now_us + 80);
    assert_false(linger_wants(&l, now_us + 80));
    linger_note(&l, 0, now_us + 160);
    assert_false(linger_wants(&l, now_us + 160));
}

static void test_with_one_cpu_we_sleep(void **state)
{
    uint64_t now_us = 1000;
    struct linger l = hot(&now_us, 80);

    (void)state;
    l.useful = false;
    assert_false(linger_wants(&l, now_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_one_client_finds_us_awake),
        cmocka_unit_test(test_nothing_keeps_us_awake_for_nothing),
        cmocka_unit_test(test_a_slow_token_is_not_waited_for),
        cmocka_unit_test(test_one_slow_answer_changes_little),
        cmocka_unit_test(test_several_clients_end_it),
        cmocka_unit_test(test_with_one_cpu_we_sleep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
