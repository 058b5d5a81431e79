/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client-shim/ctl-ca.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define ACME "urn:ietf:params:acme:error:"

static void test_what_the_ca_said_has_its_code_and_words(void **state)
{
    static const struct {
        enum net_result result;
        uint32_t status;
        const char *text, *type, *detail;
        enum ctl_exit code;
        const char *words;
    } cases[] = {
        { NET_RESULT_OK, 403, "", ACME "unauthorized", "no", CTL_EXIT_NO,
          "HTTP status 403: unauthorized: no" },
        { NET_RESULT_OK, 400, "", "about:blank", "", CTL_EXIT_NO,
          "HTTP status 400: about:blank" },
        { NET_RESULT_OK, 404, "", "", "", CTL_EXIT_NO, "HTTP status 404" },
        { NET_RESULT_OK, 429, "", ACME "rateLimited", "x", CTL_EXIT_TRY_AGAIN,
          "HTTP status 429: rateLimited: x" },
        { NET_RESULT_OK, 403, "", ACME "rateLimited", "", CTL_EXIT_TRY_AGAIN,
          "HTTP status 403: rateLimited" },
        { NET_RESULT_OK, 503, "", "", "", CTL_EXIT_TRY_AGAIN,
          "HTTP status 503" },
        { NET_RESULT_OK, 400, "", ACME "badNonce", "", CTL_EXIT_TRY_AGAIN,
          "HTTP status 400: badNonce" },
        { NET_RESULT_CONNECT, 0, "refused", "", "", CTL_EXIT_TRY_AGAIN,
          "refused" },
        { NET_RESULT_TIMEOUT, 0, "slow", "", "", CTL_EXIT_TRY_AGAIN, "slow" },
        { NET_RESULT_TLS, 0, "certificate", "", "", CTL_EXIT_UNAVAILABLE,
          "certificate" },
        { NET_RESULT_REDIRECT, 0, "a redirect", "", "", CTL_EXIT_MALFORMED,
          "a redirect" },
        { NET_RESULT_TOO_LARGE, 0, "large", "", "", CTL_EXIT_MALFORMED,
          "large" },
        { NET_RESULT_BAD_ANSWER, 0, "html", "", "", CTL_EXIT_MALFORMED,
          "html" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_answer a = { .result = cases[i].result,
                                .http_status = cases[i].status };
        CLEANUP_BUF struct buf words = { 0 };
        enum ctl_exit code = CTL_EXIT_DONE;

        (void)strcpy(a.text, cases[i].text);
        (void)strcpy(a.problem.type, cases[i].type);
        (void)strcpy(a.problem.detail, cases[i].detail);
        assert_int_equal(ctl_ca_words(&a, &code, &words), 0);
        assert_string_equal(buf_str(&words), cases[i].words);
        assert_int_equal(code, cases[i].code);
    }
}

static void test_how_long_the_ca_asks_to_wait_is_said(void **state)
{
    static struct net_answer a = { .result = NET_RESULT_OK,
                                   .http_status = 429,
                                   .retry_after_s = 90 };
    CLEANUP_BUF struct buf words = { 0 };
    enum ctl_exit code = CTL_EXIT_DONE;

    (void)state;
    assert_int_equal(ctl_ca_words(&a, &code, &words), 0);
    assert_string_equal(buf_str(&words),
                        "HTTP status 429 (the CA asks to wait 90 s)");
    assert_int_equal(code, CTL_EXIT_TRY_AGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_ca_said_has_its_code_and_words),
        cmocka_unit_test(test_how_long_the_ca_asks_to_wait_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
