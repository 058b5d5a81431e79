/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "acme/b64url.h"
#include "acme/jwk.h"
#include "daemon/admin-call.h"
#include "daemon/label.h"
#include "daemon/params.h"

/*
 * TokenSelfTest: can this token do all that an account needs? A key is made,
 * signs, is verified with, and is destroyed, whatever came of it. Its name is
 * none that an account can have (settings_name_ok()), so that one which a crash
 * left behind is known, and destroyed by the next test. What it signs is a
 * request to a URL that no CA can have (RFC 2606 section 2).
 */

#define SELF_TEST_ACCOUNT "_self-test"
#define SELF_TEST_PROTECTED                                                    \
    "{\"alg\":\"%s\",\"url\":\"https://guardian.invalid/self-test\"}"

struct self_test {
    struct guardian *guardian;
    struct varlink_call *call;
    struct token *token;
    enum jws_alg alg;
    bool cleared; /* a key of an earlier test was destroyed */
    struct buf label;
    struct buf input;
    struct token_key key;
    struct jwk jwk;
    /* Why it failed, kept while the key is destroyed. */
    bool failed;
    struct token_answer why;
    char why_text[TOKEN_TEXT_MAX];
};

static void self_test_free(struct self_test *s)
{
    if (!s)
        return;
    buf_deinit(&s->label);
    buf_deinit(&s->input);
    free(s);
}

static void self_test_end(struct self_test *s, const struct token_answer *a)
{
    admin_error_token(s->call, a);
    self_test_free(s);
}

static json_t *self_test_key_json(const struct self_test *s)
{
    char thumbprint[JWK_THP_TEXT_LEN + 1] = "";

    (void)!jwk_thumbprint_text(&s->jwk, thumbprint);
    return json_pack("{s:s,s:s,s:s,s:n,s:n,s:o,s:o}", "label",
                     buf_str(&s->label), "alg", jws_alg_name(s->alg),
                     "thumbprint", thumbprint, "account", "generation",
                     "attributes", admin_attrs_json(s->key.attrs), "unproven",
                     admin_unproven_json(s->key.attrs));
}

static bool self_test_audit(const struct self_test *s, const char *operation)
{
    const struct audit_event event = {
        .type = AUDIT_KEY,
        .peer = varlink_call_peer(s->call),
        .operation = operation,
        .detail = buf_str(&s->label),
    };
    struct audit *audit = guardian_audit(s->guardian);

    return audit && audit_write(audit, &event) == 0;
}

static void self_test_on_destroyed(const struct token_answer *a, void *userdata)
{
    struct self_test *s = userdata;

    if (s->failed) {
        self_test_end(s, &s->why);
        return;
    }
    if (!token_answer_ok(a)) {
        self_test_end(s, a);
        return;
    }
    if (!self_test_audit(s, "destroy")) {
        admin_error(s->call, "AuditUnavailable", json_object());
        self_test_free(s);
        return;
    }
    varlink_reply_json(s->call, json_pack("{s:o,s:o}", "token",
                                          admin_token_json(s->token), "key",
                                          self_test_key_json(s)));
    self_test_free(s);
}

static void self_test_destroy(struct self_test *s, token_done_fn fn)
{
    token_send(s->token,
               &(struct token_ask){ .op = TOKEN_OP_DESTROY,
                                    .label = buf_str(&s->label) },
               fn, s);
}

/* The key is there: it goes before the failure is told. */
static void self_test_fail(struct self_test *s, const struct token_answer *a)
{
    s->failed = true;
    s->why = *a;
    s->why.data = (struct bytes){ 0 };
    (void)snprintf(s->why_text, sizeof(s->why_text), "%s",
                   a->text ? a->text : "");
    s->why.text = s->why_text;
    self_test_destroy(s, self_test_on_destroyed);
}

static void self_test_on_signed(const struct token_answer *a, void *userdata)
{
    struct self_test *s = userdata;

    if (!token_answer_ok(a))
        self_test_fail(s, a);
    else if (jws_verify(&s->jwk, buf_bytes(&s->input), a->data))
        self_test_fail(s, &(struct token_answer){
                              .result = TOKEN_S_BAD_SIGNATURE,
                              .text = "a signature that was made as a test "
                                      "does not fit its public key" });
    else
        self_test_destroy(s, self_test_on_destroyed);
}

static int self_test_compose(struct self_test *s)
{
    CLEANUP_BUF struct buf protected = { 0 };
    int r;

    r = buf_printf(&protected, SELF_TEST_PROTECTED, jws_alg_name(s->alg));
    if (r == 0)
        r = b64url_encode(buf_bytes(&protected), &s->input);
    return r ? r : buf_append_char(&s->input, '.');
}

/* Return: what is wrong, or NULL. */
static const char *self_test_take_key(struct self_test *s,
                                      const struct token_answer *a)
{
    if (a->data.len != sizeof(s->key))
        return "no key came back";
    memcpy(&s->key, a->data.data, sizeof(s->key));
    if (s->key.spki_len > sizeof(s->key.spki) ||
        jwk_from_spki((struct bytes){ s->key.spki, s->key.spki_len },
                      &s->jwk) ||
        jwk_alg(&s->jwk) != s->alg)
        return "the token gave a public key of no known type";
    if (!self_test_audit(s, "generate"))
        return "the audit log cannot be written";
    return self_test_compose(s) ? "out of memory" : NULL;
}

static void self_test_generate(struct self_test *s);

static void self_test_on_cleared(const struct token_answer *a, void *userdata)
{
    struct self_test *s = userdata;

    if (!token_answer_ok(a))
        self_test_end(s, a);
    else
        self_test_generate(s);
}

static void self_test_on_key(const struct token_answer *a, void *userdata)
{
    struct self_test *s = userdata;
    const char *wrong;

    if (a->r == 0 && a->result == TOKEN_S_EXISTS && !s->cleared) {
        s->cleared = true;
        self_test_destroy(s, self_test_on_cleared);
        return;
    }
    if (!token_answer_ok(a)) {
        self_test_end(s, a);
        return;
    }
    wrong = self_test_take_key(s, a);
    if (wrong) {
        self_test_fail(s, &(struct token_answer){ .result = TOKEN_S_KEY_UNFIT,
                                                  .text = wrong });
        return;
    }
    token_send(s->token,
               &(struct token_ask){ .op = TOKEN_OP_SIGN,
                                    .label = buf_str(&s->label),
                                    .alg = s->alg,
                                    .data = buf_bytes(&s->input) },
               self_test_on_signed, s);
}

static void self_test_generate(struct self_test *s)
{
    token_send(
        s->token,
        &(struct token_ask){ .op = TOKEN_OP_GENERATE,
                             .label = buf_str(&s->label),
                             .alg = s->alg,
                             .rsa_bits = s->alg == JWS_ALG_RS256 ? 2048 : 0 },
        self_test_on_key, s);
}

static void self_test_start(struct guardian *g, struct varlink_call *call,
                            struct token *t, enum jws_alg alg)
{
    struct self_test *s = calloc(1, sizeof(*s));

    if (s)
        *s = (struct self_test){
            .guardian = g, .call = call, .token = t, .alg = alg
        };
    if (!s ||
        label_format(token_settings(t)->key_prefix, store_instance(g->store),
                     SELF_TEST_ACCOUNT, 1, &s->label)) {
        self_test_free(s);
        admin_error_busy(call);
        return;
    }
    self_test_generate(s);
}

ADMIN_METHOD(admin_on_token_self_test)
{
    const char *name = "", *alg = "ES256";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "alg", PARAM_STRING, true, { .string = &alg } },
    };
    struct guardian *g = userdata;
    enum jws_alg id;
    struct token *t;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    id = jws_alg_parse(bytes_from_str(alg));
    t = guardian_token(g, name);
    if (!t)
        admin_error_no_token(call, name);
    else if (id == JWS_ALG_UNSET)
        admin_error_value(call, "alg", "is one of ES256, ES384, RS256, EdDSA");
    else if (admin_begin(g, call, &(struct admin_subject){ .detail = name }))
        self_test_start(g, call, t, id);
}
