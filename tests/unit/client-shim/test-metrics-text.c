/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client-shim/metrics-text.h"

static char *text_of(const char *metrics, const char *accounts)
{
    CLEANUP_BUF struct buf b = { 0 };
    json_t *m = metrics ? json_loads(metrics, 0, NULL) : NULL;
    json_t *a = json_loads(accounts, 0, NULL);

    assert_true(!metrics || m);
    assert_non_null(a);
    assert_int_equal(metrics_text(m, a, &b), 0);
    json_decref(m);
    json_decref(a);
    return buf_take_str(&b);
}

static void assert_has(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("no %s in\n%s", line, text);
}

static void test_a_daemon_that_does_not_answer(void **state)
{
    CLEANUP_FREE char *text = text_of(NULL, "[]");

    (void)state;
    assert_string_equal(text,
                        "# HELP acme_guardian_up Whether the daemon answers.\n"
                        "# TYPE acme_guardian_up gauge\nacme_guardian_up 0\n");
}

static void test_labels_cannot_end_their_line(void **state)
{
    CLEANUP_FREE char *text =
        text_of("{\"version\":\"a\\\"b\\\\c\\nd\"}", "[]");

    (void)state;
    assert_has(text, "acme_guardian_build_info{version=\"a\\\"b\\\\c\\nd\"} "
                     "1\n");
}

static void test_buckets_add_up(void **state)
{
    CLEANUP_FREE char *text =
        text_of("{\"signing\":{\"bounds\":[500,2500000],\"counts\":[1,2,4],"
                "\"sum\":3000001}}",
                "[]");

    (void)state;
    assert_has(text, "_bucket{le=\"0.000500\"} 1\n");
    assert_has(text, "_bucket{le=\"2.500000\"} 3\n");
    assert_has(text, "_bucket{le=\"+Inf\"} 7\n");
    assert_has(text, "_sum 3.000001\n");
    assert_has(text, "_count 7\n");
}

static void test_what_is_absent_has_no_sample(void **state)
{
    CLEANUP_FREE char *text = text_of(
        "{\"tokens\":[{\"name\":\"t\",\"state\":\"ok\",\"freeMemory\":null}]}",
        "[{\"name\":\"a\",\"state\":\"valid\",\"suspended\":false,"
        "\"keySince\":7,\"rotate\":null,\"nextExpiry\":null,"
        "\"rotation\":null},"
        "{\"name\":\"b\",\"state\":\"draining\",\"rotate\":60,"
        "\"nextExpiry\":9,\"rotation\":{\"kind\":\"planned\","
        "\"state\":\"draining\",\"since\":5,\"actor\":\"ops\"}}]");

    (void)state;
    assert_has(text, "token_state{token=\"t\",state=\"ok\"} 1\n");
    assert_null(strstr(text, "token_free_bytes{"));
    assert_has(text, "account_state{account=\"a\",state=\"valid\"} 1\n");
    assert_has(text, "account_suspended{account=\"a\"} 0\n");
    assert_has(text, "key_since_timestamp_seconds{account=\"a\"} 7\n");
    assert_null(strstr(text, "key_rotate_seconds{account=\"a\"}"));
    assert_has(text, "key_rotate_seconds{account=\"b\"} 60\n");
    assert_has(text, "record_next_expiry_timestamp_seconds{account=\"b\"} 9\n");
    assert_has(text, "rotation_since_timestamp_seconds{account=\"b\",kind="
                     "\"planned\",state=\"draining\",actor=\"ops\"} 5\n");
    assert_null(strstr(text, "rotation_since_timestamp_seconds{account=\"a\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_daemon_that_does_not_answer),
        cmocka_unit_test(test_labels_cannot_end_their_line),
        cmocka_unit_test(test_buckets_add_up),
        cmocka_unit_test(test_what_is_absent_has_no_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
