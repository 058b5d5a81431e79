/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guardian-helper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void assert_text(const char *got, const char *want)
{
    assert_string_equal(got ? got : "(null)", want ? want : "(null)");
}

static void test_every_code_has_words(void **state)
{
    static const int codes[] = {
        GUARDIAN_OK,
        GUARDIAN_E_POLICY_DENIED,
        GUARDIAN_E_MALFORMED_REQUEST,
        GUARDIAN_E_UNKNOWN_ACCOUNT,
        GUARDIAN_E_ACCOUNT_NOT_READY,
        GUARDIAN_E_KEY_CHANGED,
        GUARDIAN_E_TOKEN_UNAVAILABLE,
        GUARDIAN_E_BUSY,
        GUARDIAN_E_AUDIT_UNAVAILABLE,
        GUARDIAN_E_RATE_LIMITED,
        GUARDIAN_E_REFUSED,
        GUARDIAN_E_ARGUMENT,
        GUARDIAN_E_MEMORY,
        GUARDIAN_E_UNAVAILABLE,
        GUARDIAN_E_TIMEOUT,
        GUARDIAN_E_PROTOCOL,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        assert_string_not_equal(guardian_strerror(codes[i]), "Unknown error");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(guardian_strerror(codes[i]),
                                    guardian_strerror(codes[j]));
    }
    assert_string_equal(guardian_strerror(-1), "Unknown error");
    assert_string_equal(guardian_strerror(11), "Unknown error");
}

static void test_errors_of_the_daemon_keep_their_details(void **state)
{
    static const struct {
        const char *account;
        struct guardian_error want;
    } cases[] = {
        { "error:PolicyDenied",
          { .code = GUARDIAN_E_POLICY_DENIED,
            .operation = "order",
            .identifier = "example.net",
            .reason = "name-not-allowed",
            .rule = "a.policy:3",
            .offset = -1,
            .retry_after_ms = -1 } },
        { "error:MalformedRequest",
          { .code = GUARDIAN_E_MALFORMED_REQUEST,
            .reason = "bad-nonce",
            .detail = "no nonce",
            .offset = 17,
            .retry_after_ms = -1 } },
        { "error:UnknownAccount",
          { .code = GUARDIAN_E_UNKNOWN_ACCOUNT,
            .offset = -1,
            .retry_after_ms = -1 } },
        { "error:AccountNotReady",
          { .code = GUARDIAN_E_ACCOUNT_NOT_READY,
            .state = "needs-resolve",
            .offset = -1,
            .retry_after_ms = -1 } },
        { "error:KeyChanged",
          { .code = GUARDIAN_E_KEY_CHANGED,
            .thumbprint = "THP",
            .offset = -1,
            .retry_after_ms = -1 } },
        { "error:TokenUnavailable",
          { .code = GUARDIAN_E_TOKEN_UNAVAILABLE,
            .offset = -1,
            .retry_after_ms = 1500 } },
        { "error:Busy",
          { .code = GUARDIAN_E_BUSY, .offset = -1, .retry_after_ms = 20 } },
        { "error:AuditUnavailable",
          { .code = GUARDIAN_E_AUDIT_UNAVAILABLE,
            .offset = -1,
            .retry_after_ms = -1 } },
        { "error:RateLimited",
          { .code = GUARDIAN_E_RATE_LIMITED,
            .offset = -1,
            .retry_after_ms = 0 } },
        { "error:OfLaterVersions",
          { .code = GUARDIAN_E_REFUSED,
            .detail = "org.acmeguardian.Signer.OfLaterVersions",
            .offset = -1,
            .retry_after_ms = -1 } },
        { "error:org.varlink.service.PermissionDenied",
          { .code = GUARDIAN_E_REFUSED,
            .detail = "org.varlink.service.PermissionDenied",
            .offset = -1,
            .retry_after_ms = -1 } },
        { "error:net.example.Busy",
          { .code = GUARDIAN_E_REFUSED,
            .detail = "net.example.Busy",
            .offset = -1,
            .retry_after_ms = -1 } },
    };
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct guardian_error *want = &cases[i].want;
        CLEANUP_ERROR struct guardian_error *e = NULL;

        print_message("%s\n", cases[i].account);
        assert_int_equal(sign_as(g, cases[i].account, &e), want->code);
        assert_non_null(e);
        assert_int_equal(e->code, want->code);
        assert_int_equal(e->system_errno, 0);
        assert_text(e->reason, want->reason);
        assert_text(e->operation, want->operation);
        assert_text(e->identifier, want->identifier);
        assert_text(e->rule, want->rule);
        assert_text(e->detail, want->detail);
        assert_text(e->state, want->state);
        assert_text(e->thumbprint, want->thumbprint);
        assert_int_equal(e->offset, want->offset);
        assert_int_equal(e->retry_after_ms, want->retry_after_ms);
        assert_int_equal(sign_as(g, cases[i].account, NULL), want->code);
    }
    /* An error is an answer: the connection stays. */
    assert_int_equal(s.counts->connections, 1);
}

static void test_sign_hands_over_what_was_asked(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    CLEANUP_JWS struct guardian_jws *all = NULL;
    CLEANUP_JWS struct guardian_jws *least = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    assert_int_equal(guardian_sign(g,
                                   &(struct guardian_sign_request){
                                       .account = "a",
                                       .url = "https://ca.example/new-order",
                                       .nonce = "N-1",
                                       .payload = "{\"x\":\"\xc3\xbc\\n\"}\n",
                                       .thumbprint = "T" },
                                   &all, NULL),
                     GUARDIAN_OK);
    assert_string_equal(all->protected_, "PROT");
    assert_string_equal(all->payload, "{\"x\":\"\xc3\xbc\\n\"}\n");
    assert_string_equal(all->signature, "a|https://ca.example/new-order|N-1|T");
    assert_string_equal(all->json,
                        "{\"protected\":\"PROT\",\"payload\":\"{\\\"x\\\":"
                        "\\\"\xc3\xbc\\\\n\\\"}\\u000a\",\"signature\":"
                        "\"a|https://ca.example/new-order|N-1|T\"}");
    assert_int_equal(
        guardian_sign(
            g, &(struct guardian_sign_request){ .url = "u", .nonce = "n" },
            &least, NULL),
        GUARDIAN_OK);
    assert_string_equal(least->payload, "");
    assert_string_equal(least->signature, "-|u|n|-");
}

static void test_sign_input_returns_the_whole_request(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    CLEANUP_JWS struct guardian_jws *jws = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    assert_int_equal(
        guardian_sign_input(
            g,
            &(struct guardian_sign_input){ .protected_ = "P", .payload = "Q" },
            &jws, NULL),
        GUARDIAN_OK);
    assert_string_equal(
        jws->json,
        "{\"protected\":\"P\",\"payload\":\"Q\",\"signature\":\"P.Q\"}");
}

static void test_accounts_are_listed(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    struct guardian_accounts *all = NULL;
    struct guardian_account *one = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    assert_int_equal(guardian_list_accounts(g, &all, NULL), GUARDIAN_OK);
    assert_int_equal(all->n, 2);
    assert_string_equal(all->items[0]->name, "one");
    assert_string_equal(all->items[0]->directory, "https://ca.example/dir");
    assert_string_equal(all->items[0]->url, "https://ca.example/acct/1");
    assert_string_equal(all->items[0]->alg, "ES256");
    assert_string_equal(all->items[0]->jwk,
                        "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    assert_string_equal(all->items[0]->thumbprint, "THP");
    assert_string_equal(all->items[0]->status, "valid");
    assert_string_equal(all->items[1]->name, "two");
    assert_null(all->items[1]->url);
    guardian_accounts_free(all);

    assert_int_equal(guardian_get_account(g, NULL, &one, NULL), GUARDIAN_OK);
    assert_string_equal(one->name, "only");
    guardian_account_free(one);
    assert_int_equal(guardian_get_account(g, "b", &one, NULL), GUARDIAN_OK);
    assert_string_equal(one->name, "b");
    guardian_account_free(one);
}

static void test_key_authorization_and_check(void **state)
{
    static const char *const names[] = { "a.example", "b.example" };
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    struct guardian_key_authorization *ka = NULL;
    struct guardian_verdict *v = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    assert_int_equal(guardian_key_authorization(g, "a", "tok", &ka, NULL),
                     GUARDIAN_OK);
    assert_string_equal(ka->key_authorization, "tok.THP");
    assert_string_equal(ka->dns01, "DNS");
    assert_string_equal(ka->tls_alpn01, "ALPN");
    assert_string_equal(ka->dns_account01_label, "_label");
    guardian_key_authorization_free(ka);
    assert_int_equal(guardian_key_authorization(g, NULL, "tok", &ka, NULL),
                     GUARDIAN_OK);
    assert_null(ka->dns_account01_label);
    guardian_key_authorization_free(ka);

    assert_int_equal(guardian_check(g, "a", "order", names, 2, &v, NULL),
                     GUARDIAN_OK);
    assert_int_equal(v->allowed, 0);
    assert_string_equal(v->reason, "order");
    assert_string_equal(v->identifier, "b.example");
    assert_string_equal(v->rule, "b:1");
    guardian_verdict_free(v);
    assert_int_equal(guardian_check(g, "a", "order", NULL, 0, &v, NULL),
                     GUARDIAN_OK);
    assert_int_equal(v->allowed, 1);
    assert_null(v->reason);
    assert_null(v->identifier);
    guardian_verdict_free(v);
}

static void test_an_answer_without_its_members_is_none(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    CLEANUP_ERROR struct guardian_error *e = NULL;
    struct guardian_account *account = NULL;
    struct guardian_jws *jws = NULL;
    struct guardian_key_authorization *ka = NULL;
    struct guardian_verdict *v = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    assert_int_equal(sign_as(g, "broken", &e), GUARDIAN_E_PROTOCOL);
    assert_int_equal(e->code, GUARDIAN_E_PROTOCOL);
    assert_int_equal(guardian_get_account(g, "broken", &account, NULL),
                     GUARDIAN_E_PROTOCOL);
    assert_int_equal(
        guardian_sign_input(g,
                            &(struct guardian_sign_input){ .account = "broken",
                                                           .protected_ = "P" },
                            &jws, NULL),
        GUARDIAN_E_PROTOCOL);
    assert_int_equal(guardian_key_authorization(g, "broken", "t", &ka, NULL),
                     GUARDIAN_E_PROTOCOL);
    assert_int_equal(guardian_check(g, "broken", "order", NULL, 0, &v, NULL),
                     GUARDIAN_E_PROTOCOL);
    assert_null(account);
    assert_null(jws);
    assert_null(ka);
    assert_null(v);
}

static void test_wrong_arguments_are_not_sent(void **state)
{
    static char longer[70000];
    static const char *const no_name[] = { "a", NULL };
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    CLEANUP_ERROR struct guardian_error *e = NULL;
    struct guardian_jws *jws = NULL;
    struct guardian_verdict *v = NULL;
    struct guardian_sign_request requests[] = {
        { .url = "u" },
        { .nonce = "n" },
        { .url = "u", .nonce = "n", .reserved = { [3] = longer } },
        { .url = "u", .nonce = "n", .payload = "{\"x\":\"\xff\"}" },
        { .url = "u", .nonce = "n", .payload = longer },
    };

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    fake_signer_start(&s);
    g = open_handle(&s);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        assert_int_equal(guardian_sign(g, &requests[i], &jws, NULL),
                         GUARDIAN_E_ARGUMENT);
    assert_int_equal(guardian_sign(NULL, &requests[0], &jws, &e),
                     GUARDIAN_E_ARGUMENT);
    assert_int_equal(e->code, GUARDIAN_E_ARGUMENT);
    assert_int_equal(guardian_check(g, NULL, "order", no_name, 2, &v, NULL),
                     GUARDIAN_E_ARGUMENT);
    assert_int_equal(guardian_set_timeout(g, 0), GUARDIAN_E_ARGUMENT);
    assert_int_equal(guardian_new(s.path, NULL), GUARDIAN_E_ARGUMENT);
    assert_int_equal(s.counts->calls, 0);
    assert_int_equal(sign_as(g, "a", NULL), GUARDIAN_OK);
    guardian_free(NULL);
    guardian_error_free(NULL);
    guardian_jws_free(NULL);
    guardian_account_free(NULL);
    guardian_accounts_free(NULL);
    guardian_key_authorization_free(NULL);
    guardian_verdict_free(NULL);
}

static void test_nobody_there_is_told_with_errno(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    CLEANUP_ERROR struct guardian_error *e = NULL;
    char hidden[80];

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    (void)snprintf(hidden, sizeof(hidden), "%s.hidden", s.path);
    assert_int_equal(rename(s.path, hidden), 0);
    assert_int_equal(sign_as(g, "a", &e), GUARDIAN_E_UNAVAILABLE);
    assert_int_equal(e->system_errno, ENOENT);
    assert_non_null(e->detail);
    /* The handle is good as soon as the daemon is there. */
    assert_int_equal(rename(hidden, s.path), 0);
    assert_int_equal(sign_as(g, "a", NULL), GUARDIAN_OK);
}

static void test_the_environment_names_the_socket(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;

    (void)state;
    fake_signer_start(&s);
    assert_int_equal(setenv("ACME_GUARDIAN_SOCKET", s.path, 1), 0);
    assert_int_equal(guardian_new(NULL, &g), GUARDIAN_OK);
    assert_int_equal(sign_as(g, "a", NULL), GUARDIAN_OK);
    assert_int_equal(unsetenv("ACME_GUARDIAN_SOCKET"), 0);
}

/* The example of the manual page, as a shell would run it. */
static int run_example(const struct fake_signer *s, const char *account,
                       const char *stdin_text, char *ret, size_t size)
{
    const char *program = getenv("EXAMPLE_SIGN");
    char command[512];
    FILE *out;
    size_t n;

    assert_non_null(program);
    (void)snprintf(command, sizeof(command),
                   "printf %%s '%s' | ACME_GUARDIAN_SOCKET=%s %s u n %s 2>&1",
                   stdin_text, s->path, program, account);
    out = popen(command, "r");
    assert_non_null(out);
    n = fread(ret, 1, size - 1, out);
    ret[n] = 0;
    return WEXITSTATUS(pclose(out));
}

static void test_the_example_signs(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    char out[512];

    (void)state;
    fake_signer_start(&s);
    assert_int_equal(run_example(&s, "", "{}", out, sizeof(out)), 0);
    assert_string_equal(out, "{\"protected\":\"PROT\",\"payload\":\"{}\","
                             "\"signature\":\"-|u|n|-\"}\n");
    assert_int_equal(
        run_example(&s, "error:PolicyDenied", "", out, sizeof(out)), 1);
    assert_string_equal(
        out, "sign: Denied by policy: name-not-allowed (example.net)\n");
    assert_int_equal(run_example(&s, "error:Busy", "", out, sizeof(out)), 75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_words),
        cmocka_unit_test(test_errors_of_the_daemon_keep_their_details),
        cmocka_unit_test(test_sign_hands_over_what_was_asked),
        cmocka_unit_test(test_sign_input_returns_the_whole_request),
        cmocka_unit_test(test_accounts_are_listed),
        cmocka_unit_test(test_key_authorization_and_check),
        cmocka_unit_test(test_an_answer_without_its_members_is_none),
        cmocka_unit_test(test_wrong_arguments_are_not_sent),
        cmocka_unit_test(test_nobody_there_is_told_with_errno),
        cmocka_unit_test(test_the_environment_names_the_socket),
        cmocka_unit_test(test_the_example_signs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
