/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client-shim/ctl-error.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define SIGNER "org.acmeguardian.Signer."
#define ADMIN "org.acmeguardian.Admin."

static const struct {
    const char *name, *parameters;
    enum ctl_exit code;
    const char *words;
} cases[] = {
    { SIGNER "PolicyDenied",
      "{\"operation\":\"order\",\"identifier\":\"evil.net\","
      "\"reason\":\"identifier-not-allowed\",\"rule\":\"/etc/p:12\"}",
      CTL_EXIT_NO,
      "denied: identifier-not-allowed: evil.net (operation order) "
      "(rule /etc/p:12)" },
    { SIGNER "PolicyDenied", "{\"operation\":\"\",\"reason\":\"no-rule\"}",
      CTL_EXIT_NO, "denied: no-rule" },
    { SIGNER "PolicyDenied", NULL, CTL_EXIT_NO, "denied: (no reason given)" },
    { SIGNER "MalformedRequest",
      "{\"reason\":\"bad-json\",\"offset\":7,\"detail\":\"x\"}",
      CTL_EXIT_MALFORMED, "malformed request: bad-json: x (at octet 7)" },
    { SIGNER "MalformedRequest",
      "{\"reason\":\"bad-url\",\"offset\":0,\"detail\":\"\"}",
      CTL_EXIT_MALFORMED, "malformed request: bad-url" },
    { SIGNER "UnknownAccount", "{}", CTL_EXIT_NO,
      "no such account, or none that you may use" },
    { SIGNER "AccountNotReady", "{\"state\":\"created\"}", CTL_EXIT_NO,
      "the account is not ready: created" },
    { SIGNER "AccountNotReady", "{\"state\":\"rotating\"}", CTL_EXIT_TRY_AGAIN,
      "the account is not ready: rotating" },
    { SIGNER "KeyChanged", "{\"thumbprint\":\"T\"}", CTL_EXIT_TRY_AGAIN,
      "the account's key has changed; its thumbprint is now: T" },
    { SIGNER "TokenUnavailable", "{\"retryAfterMs\":1500}",
      CTL_EXIT_UNAVAILABLE,
      "the token is unavailable (guardianctl token list); try again in "
      "1.5 s" },
    { SIGNER "Busy", "{\"retryAfterMs\":0}", CTL_EXIT_TRY_AGAIN,
      "the daemon is busy" },
    { SIGNER "RateLimited", "{\"retryAfterMs\":60000}", CTL_EXIT_TRY_AGAIN,
      "too many requests; try again in 60.0 s" },
    { SIGNER "AuditUnavailable", "{}", CTL_EXIT_UNAVAILABLE,
      "the audit log cannot be written, so nothing is signed (guardianctl "
      "status)" },
    { ADMIN "IssuerMismatch", "{\"issuer\":\"x.example\",\"text\":\"why\"}",
      CTL_EXIT_NO, "the issuer name x.example is refused: why" },
    { ADMIN "RecordsWithheld",
      "{\"account\":\"a\",\"reason\":\"account-not-ours\",\"text\":\"why\"}",
      CTL_EXIT_NO, "no record of account a is shown: account-not-ours: why" },
    { ADMIN "RecordsWithheld", NULL, CTL_EXIT_NO,
      "no record of account (unknown) is shown: not-proven" },
    { ADMIN "NoSuchName", "{\"name\":\"x.example\"}", CTL_EXIT_NO,
      "this name was not denied: x.example" },
    { ADMIN "ConfigurationInvalid",
      "{\"file\":\"/p\",\"line\":3,\"text\":\"what\"}", CTL_EXIT_CONFIG,
      "/p:3: what" },
    { ADMIN "ConfigurationInvalid",
      "{\"file\":\"/p\",\"line\":0,\"text\":\"what\"}", CTL_EXIT_CONFIG,
      "/p: what" },
    { ADMIN "NoSuchToken", "{\"name\":\"t\"}", CTL_EXIT_NO,
      "no such token: t" },
    { ADMIN "NoSuchAccount", "{\"name\":\"a\"}", CTL_EXIT_NO,
      "no such account: a" },
    { ADMIN "AccountExists", "{\"name\":\"a\"}", CTL_EXIT_NO,
      "there is an account of that name already: a" },
    { ADMIN "WrongState", "{\"state\":\"valid\",\"text\":\"x\"}", CTL_EXIT_NO,
      "not in this state (valid): x" },
    { ADMIN "InvalidValue", "{\"parameter\":\"alg\",\"text\":\"x\"}",
      CTL_EXIT_MALFORMED, "alg: x" },
    { ADMIN "TokenFailed", "{\"result\":\"pin-wrong\",\"text\":\"x\"}",
      CTL_EXIT_UNAVAILABLE, "the token failed: pin-wrong: x" },
    { ADMIN "AlreadyTaken", "{}", CTL_EXIT_NO,
      "the first audit key was taken before; it is given out once" },
    { ADMIN "NotPermitted", "{\"role\":\"admin\"}", CTL_EXIT_NOT_PERMITTED,
      "not permitted; this needs the role: admin" },
    { "org.varlink.service.PermissionDenied", NULL, CTL_EXIT_NOT_PERMITTED,
      "not permitted" },
    { "org.varlink.service.InvalidParameter", "{\"parameter\":\"name\"}",
      CTL_EXIT_MALFORMED, "invalid value: name" },
    { "org.varlink.service.MethodNotFound", "{}", CTL_EXIT_UNAVAILABLE,
      "the daemon does not know this call: it is of another version, or this "
      "is not its socket" },
    { "com.example.Odd", "{}", CTL_EXIT_UNAVAILABLE,
      "the daemon answered com.example.Odd" },
};

static void test_each_error_has_its_code_and_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf words = { 0 };
        enum ctl_exit code = CTL_EXIT_DONE;
        json_t *p = cases[i].parameters
                        ? json_loads(cases[i].parameters, 0, NULL)
                        : NULL;

        assert_int_equal(ctl_error_explain(cases[i].name, p, &code, &words), 0);
        assert_string_equal(buf_str(&words), cases[i].words);
        assert_int_equal(code, cases[i].code);
        json_decref(p);
    }
}

/* A member of another type than the interface says is as good as absent. */
static void test_wrong_types_are_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf words = { 0 };
        enum ctl_exit code = CTL_EXIT_DONE;
        json_t *p = json_pack("{s:i, s:i, s:s, s:[], s:i, s:b, s:i}", "reason",
                              1, "identifier", 2, "line", "x", "text", "state",
                              3, "file", 1, "name", 4);

        assert_int_equal(ctl_error_explain(cases[i].name, p, &code, &words), 0);
        assert_true(words.len > 0);
        assert_int_not_equal(code, CTL_EXIT_DONE);
        json_decref(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_error_has_its_code_and_words),
        cmocka_unit_test(test_wrong_types_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
