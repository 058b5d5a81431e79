/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "acme/b64url.h"
#include "daemon/quota.h"
#include "daemon/sha256.h"

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

struct decide_fixture f;
char label[] = "pre:0badcafe:test:1";
static int an_audit_log, a_token; /* only their addresses are used */

int setup(void **state)
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

int teardown(void **state)
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

const char *ask_as(const char *thumbprint, const char *header,
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

const char *ask(const char *header, const char *payload)
{
    return ask_as(NULL, header, payload);
}

const char *order(void)
{
    return ask(ORDER_HEADER, ORDER("example.com"));
}

void expect_refused(const char *got, const char *reason)
{
    assert_string_equal(got, reason);
    assert_int_equal(fakes.asked, 0);
    assert_int_equal(fakes.lines, 0);
    assert_int_equal(fakes.refusals, 1);
    assert_string_equal(fakes.reason, reason);
    assert_int_equal(f.outcomes, 1);
}
