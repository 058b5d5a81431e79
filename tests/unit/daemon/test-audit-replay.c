/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "audit-fixture.h"

struct replayed {
    unsigned n;
    char rules[64][24];
    uint64_t times[64];
    uint8_t first[64]; /* octet of the payload's hash */
};

static int collect(const char *rule_id, uint64_t time_ms,
                   const uint8_t payload_sha256[static 32], void *userdata)
{
    struct replayed *r = userdata;

    assert_true(r->n < 64);
    (void)snprintf(r->rules[r->n], sizeof(r->rules[0]), "%s", rule_id);
    r->times[r->n] = time_ms;
    r->first[r->n++] = payload_sha256[0];
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct audit_event order(const char *rule_id, const uint8_t *payload)
{
    return (struct audit_event){ .type = AUDIT_DECISION,
                                 .operation = "order",
                                 .verdict = "allowed",
                                 .rule_id = rule_id,
                                 .payload_sha256 = payload };
}

static void write_order(struct fixture *f, const char *rule_id, uint8_t n)
{
    uint8_t payload[32];
    struct audit_event e = order(rule_id, payload);

    memset(payload, n, sizeof(payload));
    assert_int_equal(audit_write(f->audit, &e), 0);
}

static void test_orders_come_back_oldest_first_across_files(void **state)
{
    struct fixture *f = *state;
    struct replayed r = { 0 };
    uint64_t start = now_ms();

    f->settings.audit_max_size = 2000;
    fixture_open(f);
    for (uint8_t i = 0; i < 40; i++)
        write_order(f, i % 2 ? "aaaa" : "bbbb", i);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(audit_replay_orders(f->audit, start - 1, collect, &r), 0);
    assert_int_equal(r.n, 40);
    for (uint8_t i = 0; i < 40; i++) {
        assert_string_equal(r.rules[i], i % 2 ? "aaaa" : "bbbb");
        assert_int_equal(r.first[i], i);
        assert_in_range(r.times[i], i ? r.times[i - 1] : start, now_ms());
    }
}

static void test_only_granted_orders_count(void **state)
{
    struct fixture *f = *state;
    struct replayed r = { 0 };
    uint8_t payload[32] = { 1 };
    struct audit_event denied = order("r", payload);
    struct audit_event fetch = order("r", payload);
    struct audit_event admin = order("r", payload);
    struct audit_event bare = order("r", NULL);
    struct audit_event forged = {
        .type = AUDIT_DECISION,
        .verdict = "denied",
        .detail = ",\"operation\":\"order\",\"verdict\":\"allowed\","
                  "\"rule_id\":\"r\"",
        .payload_sha256 = payload,
    };

    denied.verdict = "denied";
    fetch.operation = "fetch";
    admin.type = AUDIT_ADMIN;
    fixture_open(f);
    assert_int_equal(audit_write(f->audit, &denied), 0);
    assert_int_equal(audit_write(f->audit, &fetch), 0);
    assert_int_equal(audit_write(f->audit, &admin), 0);
    assert_int_equal(audit_write(f->audit, &bare), 0);
    assert_int_equal(audit_write(f->audit, &forged), 0);
    assert_int_equal(audit_replay_orders(f->audit, 0, collect, &r), 0);
    assert_int_equal(r.n, 0);
    write_order(f, "r", 9);
    assert_int_equal(audit_replay_orders(f->audit, 0, collect, &r), 0);
    assert_int_equal(r.n, 1);
}

static void test_older_orders_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct replayed r = { 0 };
    char *closed;

    fixture_open(f);
    write_order(f, "r", 1);
    assert_int_equal(audit_rotate(f->audit, &closed), 0);
    free(closed);
    write_order(f, "r", 2);
    assert_int_equal(
        audit_replay_orders(f->audit, now_ms() + 1000, collect, &r), 0);
    assert_int_equal(r.n, 0);
}

static int stop(const char *rule_id, uint64_t time_ms,
                const uint8_t payload_sha256[static 32], void *userdata)
{
    unsigned *n = userdata;

    (void)rule_id;
    (void)time_ms;
    (void)payload_sha256;
    return ++*n == 2 ? -42 : 0;
}

static void test_error_of_the_callback_ends_it(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0;

    fixture_open(f);
    for (uint8_t i = 0; i < 5; i++)
        write_order(f, "r", i);
    assert_int_equal(audit_replay_orders(f->audit, 0, stop, &n), -42);
    assert_int_equal(n, 2);
}

#define WITH_LOG(fn)                                                           \
    cmocka_unit_test_setup_teardown(fn, fixture_new, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_orders_come_back_oldest_first_across_files),
        WITH_LOG(test_only_granted_orders_count),
        WITH_LOG(test_older_orders_are_left_out),
        WITH_LOG(test_error_of_the_callback_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
