/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "acme/b64url.h"
#include "daemon/decide.h"
#include "daemon/quota.h"
#include "daemon/rotate.h"
#include "daemon/sha256.h"
#include "fakes.h"

/* The account of the request vectors, read as the offline commands read it. */
static const char account_json[] =
    "{\"name\":\"test\",\"directory_url\":\"https://ca.example/directory\","
    "\"directory\":{\"newNonce\":\"https://ca.example/acme/new-nonce\","
    "\"newAccount\":\"https://ca.example/acme/new-acct\","
    "\"newOrder\":\"https://ca.example/acme/new-order\"},"
    "\"account_url\":\"https://ca.example/acct/123\",\"alg\":\"ES256\","
    "\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}}";

static const char policy_text[] = "[Client]\nUser=1000\n[Allow]\nAccount=test\n"
                                  "Domain=example.com\nOrdersPerDay=2\n";

#define HEADER(url)                                                            \
    "{\"alg\":\"ES256\",\"kid\":\"https://ca.example/acct/123\","              \
    "\"nonce\":\"abc\",\"url\":\"" url "\"}"
#define ORDER_HEADER HEADER("https://ca.example/acme/new-order")
#define ORDER(name)                                                            \
    "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"" name "\"}]}"

static struct fixture {
    struct guardian g;
    struct account account;
    struct account *accounts[1];
    struct token *tokens[1];
    struct peer peer;
    gid_t gids[1];
    struct store_suspension suspension;
    struct rotation rotation;
    /* the last outcome */
    unsigned outcomes;
    enum reason reason;
    size_t signature_len;
    char operation[32], identifier[64], rule[128], state[32], thumbprint[64];
    uint64_t retry_after_ms;
} f;

static char label[] = "pre:0badcafe:test:1";
static int an_audit_log, a_token; /* only their addresses are used */

static int setup(void **state)
{
    struct acme_account *acme = NULL;
    struct refusal refusal = { 0 };
    struct errmsg e;

    (void)state;
    memset(&f, 0, sizeof(f));
    fakes_reset();
    assert_int_equal(
        acme_account_read(bytes_from_str(account_json), &acme, &refusal), 0);
    f.account.row.acme = *acme;
    free(acme); /* what it points to is ours now */
    f.account.row.status = ACCOUNT_VALID;
    f.account.row.key_label = label;
    f.account.token = f.tokens[0] = (struct token *)&a_token;
    f.g.tokens = f.tokens;
    f.g.n_tokens = 1;
    f.accounts[0] = &f.account;
    f.g.accounts = (struct accounts){ f.accounts, 1 };
    f.g.audit = (struct audit *)&an_audit_log;
    f.g.audit_tried_ms = UINT64_MAX / 2; /* not opened again */
    f.g.grants.per_minute = 1000;
    f.gids[0] = 1000;
    f.peer =
        (struct peer){ .uid = 1000, .gid = 1000, .gids = f.gids, .n_gids = 1 };
    names_init(&f.g.names, &policy_names_nss, names_now_ms);
    assert_true(sd_event_new(&f.g.event) >= 0);
    assert_int_equal(quota_new(&f.g.quota), 0);
    assert_int_equal(sha256_new(&f.g.sha256), 0);
    assert_int_equal(policy_load_text(bytes_from_str(policy_text), "p.policy",
                                      NULL, &f.g.policy, &e),
                     0);
    return 0;
}

static int teardown(void **state)
{
    struct acme_account *acme = calloc(1, sizeof(*acme));

    (void)state;
    assert_non_null(acme);
    *acme = f.account.row.acme;
    acme_account_free(acme);
    open_orders_deinit(&f.account.orders);
    policy_set_free(f.g.policy);
    quota_free(f.g.quota);
    sha256_free(f.g.sha256);
    sd_event_unref(f.g.event);
    return 0;
}

static void keep(char *to, size_t len, const char *from)
{
    (void)snprintf(to, len, "%s", from ? from : "");
}

static void on_outcome(const struct decide_outcome *o, void *userdata)
{
    (void)userdata;
    f.outcomes++;
    f.reason = o->reason;
    f.signature_len = o->signature.len;
    f.retry_after_ms = o->retry_after_ms;
    keep(f.operation, sizeof(f.operation), o->operation);
    keep(f.identifier, sizeof(f.identifier), o->identifier);
    keep(f.rule, sizeof(f.rule), o->rule);
    keep(f.state, sizeof(f.state), o->state);
    keep(f.thumbprint, sizeof(f.thumbprint), o->thumbprint);
}

static const char *ask_as(const char *thumbprint, const char *header,
                          const char *payload)
{
    CLEANUP_BUF struct buf head = { 0 };
    CLEANUP_BUF struct buf body = { 0 };

    assert_int_equal(b64url_encode(bytes_from_str(header), &head), 0);
    assert_int_equal(b64url_encode(bytes_from_str(payload), &body), 0);
    decide_sign(&f.g,
                &(struct decide_input){ .peer = &f.peer,
                                        .account = &f.account,
                                        .protected_b64 = buf_bytes(&head),
                                        .payload_b64 = buf_bytes(&body),
                                        .thumbprint = thumbprint },
                on_outcome, NULL);
    return f.reason ? reason_code(f.reason) : "signed";
}

static const char *ask(const char *header, const char *payload)
{
    return ask_as(NULL, header, payload);
}

static const char *order(void)
{
    return ask(ORDER_HEADER, ORDER("example.com"));
}

static void test_what_is_allowed_is_written_then_signed(void **state)
{
    (void)state;
    assert_string_equal(order(), "signed");
    assert_string_equal(fakes.order, "ats");
    assert_string_equal(fakes.verdict, "allowed");
    assert_string_equal(fakes.rule, "p.policy:1");
    assert_string_equal(fakes.label, label);
    assert_int_equal(f.signature_len, 64);
    assert_int_equal(f.outcomes, 1);
}

static void test_exactly_the_octets_that_were_read_are_signed(void **state)
{
    CLEANUP_BUF struct buf want = { 0 };

    (void)state;
    assert_string_equal(order(), "signed");
    assert_int_equal(b64url_encode(bytes_from_str(ORDER_HEADER), &want), 0);
    assert_int_equal(buf_append_char(&want, '.'), 0);
    assert_int_equal(b64url_encode(bytes_from_str(ORDER("example.com")), &want),
                     0);
    assert_string_equal(fakes.input, buf_str(&want));
}

/* No refusal may reach the token. */
static void expect_refused(const char *got, const char *reason)
{
    assert_string_equal(got, reason);
    assert_int_equal(fakes.asked, 0);
    assert_int_equal(fakes.lines, 0);
    assert_int_equal(fakes.refusals, 1);
    assert_string_equal(fakes.reason, reason);
    assert_int_equal(f.outcomes, 1);
}

static void test_a_malformed_request_is_refused(void **state)
{
    (void)state;
    expect_refused(ask(ORDER_HEADER, "{\"identifiers\":[]}"), "no-identifiers");
    assert_string_equal(fakes.verdict, "malformed");
}

static void test_another_name_is_refused(void **state)
{
    (void)state;
    expect_refused(ask(ORDER_HEADER, ORDER("evil.example")),
                   "identifier-not-allowed");
    assert_string_equal(f.identifier, "evil.example");
    assert_string_equal(f.rule, "p.policy:1");
    assert_string_equal(f.operation, "order");
    assert_string_equal(fakes.verdict, "denied");
}

static void test_another_caller_is_refused(void **state)
{
    (void)state;
    f.peer.uid = 1001;
    expect_refused(order(), "no-rule");
}

static void test_a_suspended_account_is_refused(void **state)
{
    static char all[] = "all";

    (void)state;
    f.suspension = (struct store_suspension){ .scope = all };
    f.g.suspend = (struct suspend){ &f.suspension, 1 };
    expect_refused(order(), "suspended");
}

static void test_an_account_that_is_not_valid_is_refused(void **state)
{
    (void)state;
    f.account.row.status = ACCOUNT_DEACTIVATED;
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "deactivated");
}

static void test_an_account_whose_key_is_unclear_is_refused(void **state)
{
    static char why[] = "the token has another key";

    (void)state;
    f.account.unresolved = why;
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "needs-resolve");
}

static void test_an_account_without_a_directory_is_refused(void **state)
{
    struct acme_directory d = f.account.row.acme.directory;

    (void)state;
    f.account.row.acme.directory = (struct acme_directory){ 0 };
    f.account.row.status = ACCOUNT_CREATED;
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "created");
    f.account.row.acme.directory = d;
}

static void test_a_stale_key_is_refused_where_it_matters(void **state)
{
    static const struct {
        const char *header, *payload;
        bool matters;
    } cases[] = {
        { ORDER_HEADER, ORDER("example.com"), true },
        { HEADER("https://ca.example/chall/1"), "{}", true },
        { HEADER("https://ca.example/order/1"), "", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].header);
        assert_string_equal(ask_as("stale", cases[i].header, cases[i].payload),
                            cases[i].matters ? "key-changed" : "signed");
        assert_string_equal(f.thumbprint, f.account.row.acme.thumbprint);
        assert_string_equal(ask_as(f.account.row.acme.thumbprint,
                                   cases[i].header, cases[i].payload),
                            "signed");
    }
}

static void test_orders_are_counted(void **state)
{
    (void)state;
    assert_string_equal(order(), "signed");
    assert_string_equal(order(), "signed"); /* again within a minute */
    assert_string_equal(ask(ORDER_HEADER, " " ORDER("example.com")), "signed");
    assert_string_equal(ask(ORDER_HEADER, "  " ORDER("example.com")),
                        "orders-per-day");
    assert_true(f.retry_after_ms > 23 * 3600 * 1000);
    assert_string_equal(ask(HEADER("https://ca.example/order/1"), ""),
                        "signed");
}

static void test_grants_of_a_uid_are_limited(void **state)
{
    static const char fetch[] = HEADER("https://ca.example/order/1");

    (void)state;
    f.g.grants.per_minute = 2;
    for (int i = 0; i < 3; i++)
        assert_string_equal(ask(fetch, "{"), "bad-json");
    assert_string_equal(ask(fetch, ""), "signed");
    assert_string_equal(ask(fetch, ""), "signed");
    assert_string_equal(ask(fetch, ""), "requests-per-minute");
    assert_true(f.retry_after_ms > 0 && f.retry_after_ms <= 30001);
    assert_int_equal(fakes.lines, 2);
    assert_int_equal(fakes.asked, 2);
    assert_string_equal(fakes.verdict, "refused");
    /* What is refused anyway is refused for what it is. */
    assert_string_equal(ask(ORDER_HEADER, ORDER("evil.example")),
                        "identifier-not-allowed");
}

static void test_without_an_audit_log_nothing_is_signed(void **state)
{
    (void)state;
    f.g.audit = NULL;
    assert_string_equal(order(), "audit-unavailable");
    assert_int_equal(fakes.asked, 0);
}

static void test_what_cannot_be_written_is_not_signed(void **state)
{
    (void)state;
    fakes.write_error = -ENOSPC;
    assert_string_equal(order(), "audit-unavailable");
    assert_int_equal(fakes.asked, 0);
    /* nor counted as an order */
    fakes.write_error = 0;
    for (int i = 0; i < 2; i++)
        assert_string_equal(ask(ORDER_HEADER, i ? " " ORDER("example.com")
                                                : ORDER("example.com")),
                            "signed");
}

static void test_what_is_not_on_disk_does_not_leave(void **state)
{
    (void)state;
    fakes.sync_error = -EIO;
    assert_string_equal(order(), "audit-unavailable");
    assert_int_equal(f.signature_len, 0);
}

static void test_what_the_token_says_is_told(void **state)
{
    static const struct {
        int r;
        enum token_result result;
        const char *reason;
    } cases[] = {
        { -EBUSY, TOKEN_S_UNSET, "busy" },
        { -EHOSTDOWN, TOKEN_S_UNSET, "token-unavailable" },
        { -ETIMEDOUT, TOKEN_S_UNSET, "token-unavailable" },
        { 0, TOKEN_S_PIN_WRONG, "token-unavailable" },
        { 0, TOKEN_S_NO_KEY, "token-unavailable" },
        { 0, TOKEN_S_BAD_SIGNATURE, "token-unavailable" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        fakes.answer.r = cases[i].r;
        fakes.answer.result = cases[i].result;
        fakes.answer.retry_after_ms = 1234;
        assert_string_equal(order(), cases[i].reason);
        assert_int_equal(f.retry_after_ms, 1234);
        assert_int_equal(f.signature_len, 0);
    }
}

static void test_a_signature_of_another_length_does_not_leave(void **state)
{
    (void)state;
    fakes.answer.data.len = 63;
    assert_string_equal(order(), "token-unavailable");
    assert_int_equal(f.signature_len, 0);
}

static void test_an_account_without_a_token_is_told(void **state)
{
    (void)state;
    f.account.token = NULL;
    assert_string_equal(order(), "token-unavailable");
    assert_int_equal(fakes.asked, 0);
}

static void test_a_suspension_meanwhile_holds_the_signature_back(void **state)
{
    static char all[] = "all";

    (void)state;
    fakes.hold = true;
    (void)order();
    assert_int_equal(f.outcomes, 0);
    f.suspension = (struct store_suspension){ .scope = all };
    f.g.suspend = (struct suspend){ &f.suspension, 1 };
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "suspended");
    assert_int_equal(f.signature_len, 0);
}

static void test_a_name_denied_meanwhile_holds_the_signature_back(void **state)
{
    char *const names[] = { (char[]){ "example.com" }, NULL };

    (void)state;
    fakes.hold = true;
    (void)order();
    assert_int_equal(f.outcomes, 0);
    assert_int_equal(policy_set_deny_now(f.g.policy, names), 0);
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "identifier-denied");
    assert_string_equal(f.identifier, "example.com");
    assert_int_equal(f.signature_len, 0);
}

/* ---- a rotation is under way ---- */

static void rotate(enum rotation_state state)
{
    f.rotation.row.state = state;
    f.rotation.guardian = &f.g;
    f.rotation.account = &f.account;
    f.account.rotation = &f.rotation;
}

static void change_key(void)
{
    memset(f.account.row.acme.thumbprint, 'N', JWK_THP_TEXT_LEN);
    f.account.row.acme.jwk.x[0] ^= 1; /* another, as the reader sees it */
}

#define FETCH_HEADER HEADER("https://ca.example/order/1")

static void test_a_copied_registry_signs_nothing(void **state)
{
    (void)state;
    f.account.row.must_ask = true;
    (void)ask(FETCH_HEADER, "");
    assert_string_equal(reason_code(f.reason), "account-not-ready");
    assert_string_equal(f.state, "needs-resolve");
    assert_int_equal(fakes.asked, 0);
}

static void test_states_that_sign_as_ever(void **state)
{
    static const enum rotation_state states[] = {
        ROTATION_PLANNED, ROTATION_KEY_GENERATED,  ROTATION_DRAINING,
        ROTATION_CLEANED, ROTATION_DONE,           ROTATION_ABORTING,
        ROTATION_ABORTED, ROTATION_SWITCH_REFUSED,
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        rotate(states[i]);
        assert_string_equal(ask(FETCH_HEADER, ""), "signed");
    }
    rotate(ROTATION_SWITCHED);
    f.rotation.row.confirmed_s = 1;
    assert_string_equal(ask(FETCH_HEADER, ""), "signed");
}

static void test_states_that_sign_nothing(void **state)
{
    (void)state;
    rotate(ROTATION_UNRESOLVED);
    expect_refused(order(), "account-not-ready");
    assert_string_equal(f.state, "unresolved");
    f.outcomes = fakes.refusals = 0;
    rotate(ROTATION_ACCOUNT_LOST);
    expect_refused(ask(FETCH_HEADER, ""), "account-not-ready");
    assert_string_equal(f.state, "account-lost");
}

static void test_what_would_be_signed_waits(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    assert_int_equal(f.outcomes, 0);
    assert_int_equal(f.account.hold.n, 1);
    assert_int_equal(fakes.lines, 0); /* nothing is granted yet */
    assert_int_equal(fakes.asked, 0);
    rotate(ROTATION_ABORTED);
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "unset");
    assert_string_equal(fakes.order, "ats");
    assert_int_equal(f.signature_len, 64);
}

static void test_what_is_refused_anyway_does_not_wait(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    expect_refused(ask(ORDER_HEADER, ORDER("evil.example")),
                   "identifier-not-allowed");
    assert_int_equal(f.account.hold.n, 0);
}

/* By what is true then: the policy, the state, the key. */
static void test_who_waited_is_judged_again(void **state)
{
    char *const names[] = { (char[]){ "example.com" }, NULL };

    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    assert_int_equal(policy_set_deny_now(f.g.policy, names), 0);
    rotate(ROTATION_ABORTED);
    hold_release(&f.account.hold, true);
    assert_string_equal(reason_code(f.reason), "identifier-denied");
    assert_int_equal(fakes.asked, 0);
}

static void test_who_believes_in_the_old_key_is_told(void **state)
{
    char old[JWK_THP_TEXT_LEN + 1];

    (void)state;
    memcpy(old, f.account.row.acme.thumbprint, sizeof(old));
    rotate(ROTATION_SWITCHING);
    (void)ask_as(old, FETCH_HEADER, "");
    (void)ask(FETCH_HEADER, "");
    (void)ask_as(old, ORDER_HEADER, ORDER("example.com"));
    assert_int_equal(f.account.hold.n, 3);
    change_key();
    rotate(ROTATION_DONE);
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 3);
    assert_int_equal(fakes.refusals, 1);
    assert_string_equal(fakes.reason, "key-changed");
    assert_int_equal(fakes.asked, 2);
}

/* A lookup has the key in its header: late, not malformed. */
static void test_a_lookup_by_the_old_key_is_late(void **state)
{
    CLEANUP_BUF struct buf header = { 0 };
    char old[JWK_THP_TEXT_LEN + 1];

    (void)state;
    memcpy(old, f.account.row.acme.thumbprint, sizeof(old));
    assert_int_equal(buf_append_str(&header, "{\"alg\":\"ES256\",\"jwk\":"), 0);
    assert_int_equal(jwk_format(&f.account.row.acme.jwk, &header), 0);
    assert_int_equal(buf_append_str(&header,
                                    ",\"nonce\":\"abc\",\"url\":"
                                    "\"https://ca.example/acme/new-acct\"}"),
                     0);
    rotate(ROTATION_SWITCHING);
    (void)ask(buf_str(&header), "{\"onlyReturnExisting\":true}");
    assert_int_equal(f.account.hold.n, 1);
    change_key();
    rotate(ROTATION_DONE);
    hold_release(&f.account.hold, true);
    assert_string_equal(reason_code(f.reason), "key-changed");
    assert_string_equal(
        ask_as(old, buf_str(&header), "{\"onlyReturnExisting\":true}"),
        "key-changed");
    assert_string_equal(ask(buf_str(&header), "{\"onlyReturnExisting\":true}"),
                        "wrong-jwk");
}

static void test_waiting_too_long_is_refused(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    hold_release(&f.account.hold, false);
    assert_string_equal(reason_code(f.reason), "account-not-ready");
    assert_string_equal(f.state, "switching");
    assert_int_equal(fakes.asked, 0);
}

static void test_who_still_may_not_waits_on(void **state)
{
    (void)state;
    rotate(ROTATION_SWITCHING);
    (void)order();
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 0);
    assert_int_equal(f.account.hold.n, 1);
    rotate(ROTATION_UNRESOLVED);
    hold_release(&f.account.hold, true);
    assert_string_equal(f.state, "unresolved");
}

static void test_only_new_orders_wait_for_a_quiet_moment(void **state)
{
    (void)state;
    rotate(ROTATION_DRAINING);
    f.rotation.orders_held = true;
    assert_string_equal(ask(FETCH_HEADER, ""), "signed");
    f.outcomes = 0;
    (void)order();
    assert_int_equal(f.outcomes, 0);
    f.rotation.orders_held = false;
    hold_release(&f.account.hold, true);
    assert_int_equal(f.outcomes, 1);
    assert_string_equal(reason_code(f.reason), "unset");
}

static void test_what_left_is_noted(void **state)
{
    (void)state;
    assert_int_equal(f.account.released_ms, 0);
    assert_string_equal(order(), "signed");
    assert_true(f.account.released_ms > 0);
    assert_int_equal(f.account.in_flight, 0);
    assert_int_equal(
        open_orders_count(&f.account.orders, 1000, f.account.released_ms), 1);
}

static void test_what_is_at_the_token_is_counted(void **state)
{
    (void)state;
    fakes.hold = true;
    (void)order();
    assert_int_equal(f.account.in_flight, 1);
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.account.in_flight, 0);
    assert_int_equal(f.signature_len, 64);
}

/* The order will be open when its signature has left. */
static void test_an_order_at_the_token_is_waited_for(void **state)
{
    (void)state;
    rotate(ROTATION_DRAINING);
    f.rotation.row.order_drain_s = 60;
    fakes.hold = true;
    (void)ask(FETCH_HEADER, "");
    assert_true(rotate_is_quiet(&f.account));
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    (void)order();
    assert_false(rotate_is_quiet(&f.account));
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_int_equal(f.account.new_orders, 0);
    assert_false(rotate_is_quiet(&f.account));
}

static void on_destroyed(const char *error, const struct token_answer *answer,
                         void *userdata)
{
    (void)answer;
    *(const char **)userdata = error;
}

static void assert_kept(void)
{
    const char *error = NULL;

    rotate_destroy(&f.account, NULL, on_destroyed, &error);
    assert_string_equal(error, "Busy");
    assert_int_equal(fakes.asked, 0);
    assert_false(f.rotation.busy);
    assert_int_equal(f.rotation.row.state, ROTATION_CLEANED);
}

/* Key and registry do not agree, or the registry may be an old copy: the timer
 * must not go on either. */
static void test_nothing_is_destroyed_while_a_key_is_unclear(void **state)
{
    char why[] = "its key is not on the token", old[] = "old", hsm[] = "hsm";

    (void)state;
    rotate(ROTATION_CLEANED);
    f.rotation.row.old_label = old;
    f.rotation.row.old_token = f.rotation.row.new_token = hsm;
    f.account.unresolved = why;
    assert_kept();
    f.account.unresolved = NULL;
    f.account.row.must_ask = true;
    assert_kept();
}

static void test_a_signature_of_a_retired_key_does_not_leave(void **state)
{
    (void)state;
    fakes.hold = true;
    (void)ask(FETCH_HEADER, "");
    change_key();
    fakes.held_fn(&fakes.answer, fakes.held_userdata);
    assert_string_equal(reason_code(f.reason), "key-changed");
    assert_int_equal(f.signature_len, 0);
    assert_int_equal(f.account.released_ms, 0);
}

#define DECIDE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DECIDE_TEST(test_what_is_allowed_is_written_then_signed),
        DECIDE_TEST(test_exactly_the_octets_that_were_read_are_signed),
        DECIDE_TEST(test_a_malformed_request_is_refused),
        DECIDE_TEST(test_another_name_is_refused),
        DECIDE_TEST(test_another_caller_is_refused),
        DECIDE_TEST(test_a_suspended_account_is_refused),
        DECIDE_TEST(test_an_account_that_is_not_valid_is_refused),
        DECIDE_TEST(test_an_account_whose_key_is_unclear_is_refused),
        DECIDE_TEST(test_an_account_without_a_directory_is_refused),
        DECIDE_TEST(test_a_stale_key_is_refused_where_it_matters),
        DECIDE_TEST(test_orders_are_counted),
        DECIDE_TEST(test_grants_of_a_uid_are_limited),
        DECIDE_TEST(test_without_an_audit_log_nothing_is_signed),
        DECIDE_TEST(test_what_cannot_be_written_is_not_signed),
        DECIDE_TEST(test_what_is_not_on_disk_does_not_leave),
        DECIDE_TEST(test_what_the_token_says_is_told),
        DECIDE_TEST(test_a_signature_of_another_length_does_not_leave),
        DECIDE_TEST(test_an_account_without_a_token_is_told),
        DECIDE_TEST(test_a_suspension_meanwhile_holds_the_signature_back),
        DECIDE_TEST(test_a_name_denied_meanwhile_holds_the_signature_back),
        DECIDE_TEST(test_a_copied_registry_signs_nothing),
        DECIDE_TEST(test_states_that_sign_as_ever),
        DECIDE_TEST(test_states_that_sign_nothing),
        DECIDE_TEST(test_what_would_be_signed_waits),
        DECIDE_TEST(test_what_is_refused_anyway_does_not_wait),
        DECIDE_TEST(test_who_waited_is_judged_again),
        DECIDE_TEST(test_who_believes_in_the_old_key_is_told),
        DECIDE_TEST(test_a_lookup_by_the_old_key_is_late),
        DECIDE_TEST(test_waiting_too_long_is_refused),
        DECIDE_TEST(test_who_still_may_not_waits_on),
        DECIDE_TEST(test_only_new_orders_wait_for_a_quiet_moment),
        DECIDE_TEST(test_what_left_is_noted),
        DECIDE_TEST(test_what_is_at_the_token_is_counted),
        DECIDE_TEST(test_an_order_at_the_token_is_waited_for),
        DECIDE_TEST(test_nothing_is_destroyed_while_a_key_is_unclear),
        DECIDE_TEST(test_a_signature_of_a_retired_key_does_not_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
