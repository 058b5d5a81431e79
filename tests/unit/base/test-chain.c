/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define N_LINES 4

struct log {
    struct buf lines[N_LINES];
};

static const struct chain first = { 1, "a key of thirty-two octets......" };

static int make_log(void **state)
{
    static struct log log;
    struct chain c = first;

    log = (struct log){ 0 };
    for (int i = 0; i < N_LINES; i++) {
        assert_int_equal(buf_printf(&log.lines[i], "{\"n\":%d", i + 1), 0);
        assert_int_equal(chain_seal(&c, &log.lines[i]), 0);
    }
    *state = &log;
    return 0;
}

static int free_log(void **state)
{
    struct log *log = *state;

    for (int i = 0; i < N_LINES; i++)
        buf_deinit(&log->lines[i]);
    return 0;
}

static int check(struct chain *c, const struct buf *line)
{
    return chain_check(c, (struct bytes){ line->data, line->len - 1 });
}

static void test_chain_fits_its_own_lines(void **state)
{
    struct log *log = *state;
    struct chain c = first;

    for (int i = 0; i < N_LINES; i++)
        assert_int_equal(check(&c, &log->lines[i]), 0);
    assert_int_equal(c.line, N_LINES + 1);
}

static void test_chain_notices_a_changed_byte(void **state)
{
    struct log *log = *state;
    struct chain c = first;

    log->lines[1].data[5] ^= 1;
    assert_int_equal(check(&c, &log->lines[0]), 0);
    assert_int_equal(check(&c, &log->lines[1]), CHAIN_E_MAC);
}

static void test_chain_notices_a_missing_line(void **state)
{
    struct log *log = *state;
    struct chain c = first;

    assert_int_equal(check(&c, &log->lines[0]), 0);
    assert_int_equal(check(&c, &log->lines[2]), CHAIN_E_MAC);
}

static void test_chain_does_not_lead_back(void **state)
{
    struct log *log = *state;
    struct chain c = first;
    struct chain now;

    /* Today's key neither checks an earlier line nor can make one. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(check(&c, &log->lines[i]), 0);
    now = c;
    assert_int_equal(check(&now, &log->lines[2]), CHAIN_E_MAC);
}

static void test_chain_wants_the_mac_at_the_end(void **state)
{
    struct chain c = first;

    (void)state;
    assert_int_equal(chain_check(&c, bytes_from_str("{}")), CHAIN_E_FORM);
    assert_int_equal(
        chain_check(&c, bytes_from_str("{\"n\":1,\"mac\":\"00\"}        "
                                       "                                    "
                                       "                      ")),
        CHAIN_E_FORM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chain_fits_its_own_lines, make_log,
                                        free_log),
        cmocka_unit_test_setup_teardown(test_chain_notices_a_changed_byte,
                                        make_log, free_log),
        cmocka_unit_test_setup_teardown(test_chain_notices_a_missing_line,
                                        make_log, free_log),
        cmocka_unit_test_setup_teardown(test_chain_does_not_lead_back, make_log,
                                        free_log),
        cmocka_unit_test(test_chain_wants_the_mac_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
