/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "acme/b64url.h"
#include "acme/request.h"
#include "daemon/admin-call.h"
#include "daemon/keycheck.h"
#include "daemon/label.h"
#include "daemon/params.h"

/*
 * TokenCheck: status, all keys, and one signature by each account's key that is
 * verified. What is signed is a request to a URL that no CA can have (RFC 2606
 * section 2): even here nothing is signed that could be used elsewhere.
 */

#define SELF_TEST_URL "https://guardian.invalid/self-test"

struct token_check {
    struct guardian *guardian;
    struct varlink_call *call;
    struct token *token;
    json_t *keys;
    size_t next; /* account */
    struct account *account;
    char thumbprint[JWK_THP_TEXT_LEN + 1]; /* of the key that was asked */
    struct buf input;
};

static void check_free(struct token_check *c)
{
    json_decref(c->keys);
    buf_deinit(&c->input);
    free(c);
}

static void check_fail(struct token_check *c, const struct token_answer *a)
{
    admin_error_token(c->call, a);
    check_free(c);
}

static void check_done(struct token_check *c)
{
    varlink_reply_json(c->call,
                       json_pack("{s:o,s:O}", "token",
                                 admin_token_json(c->token), "keys", c->keys));
    check_free(c);
}

static json_t *key_owner(const struct token_check *c,
                         const struct token_key *key, json_t **ret_generation)
{
    const struct guardian *g = c->guardian;
    char name[LABEL_ACCOUNT_MAX + 1];
    unsigned generation;

    *ret_generation = json_null();
    if (label_parse(key->label, token_settings(c->token)->key_prefix,
                    store_instance(g->store), name, &generation)) {
        *ret_generation = json_integer(generation);
        return json_string(name);
    }
    for (size_t i = 0; i < g->accounts.n; i++) {
        const struct account *a = g->accounts.items[i];

        if (a->token == c->token && strcmp(a->row.key_label, key->label) == 0)
            return json_string(a->row.acme.name);
    }
    return json_null();
}

static void check_on_key(const struct token_key *key, void *userdata)
{
    struct token_check *c = userdata;
    char thumbprint[JWK_THP_TEXT_LEN + 1] = "";
    json_t *generation;
    json_t *owner = key_owner(c, key, &generation);
    struct jwk jwk;

    if (jwk_from_spki((struct bytes){ key->spki, key->spki_len }, &jwk) == 0)
        (void)!jwk_thumbprint_text(&jwk, thumbprint);
    (void)json_array_append_new(
        c->keys,
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "label", key->label, "alg",
                  jws_alg_name((enum jws_alg)key->alg), "thumbprint",
                  thumbprint, "account", owner, "generation", generation,
                  "attributes", admin_attrs_json(key->attrs), "unproven",
                  admin_unproven_json(key->attrs)));
}

static void check_on_again(void *userdata)
{
    struct token_check *c = userdata;

    (void)json_array_clear(c->keys);
}

static void check_next(struct token_check *c);
static void check_account(struct token_check *c);

static void check_on_signed(const struct token_answer *a, void *userdata)
{
    struct token_check *c = userdata;

    /* Rotated meanwhile: that key need not be there any more. */
    if (strcmp(c->thumbprint, c->account->row.acme.thumbprint) != 0) {
        check_account(c);
        return;
    }
    if (!token_answer_ok(a)) {
        check_fail(c, a);
        return;
    }
    if (jws_verify(&c->account->row.acme.jwk, buf_bytes(&c->input), a->data)) {
        check_fail(c, &(struct token_answer){
                          .result = TOKEN_S_BAD_SIGNATURE,
                          .text = "a signature that was made as a test does "
                                  "not fit the account's public key" });
        return;
    }
    check_next(c);
}

static int check_compose(struct token_check *c)
{
    const struct acme_account *a = &c->account->row.acme;
    CLEANUP_BUF struct buf nonce = { 0 };
    uint8_t random[16];
    int r;

    buf_clear(&c->input);
    randombytes_buf(random, sizeof(random));
    r = b64url_encode((struct bytes){ random, sizeof(random) }, &nonce);
    if (r == 0)
        r = acme_protected(a, !a->account_url, buf_bytes(&nonce),
                           bytes_from_str(SELF_TEST_URL), &c->input);
    return r ? r : buf_append_char(&c->input, '.');
}

static bool check_is_here(const struct token_check *c, const struct account *a)
{
    return a->token == c->token && account_has_key(a);
}

static void check_next(struct token_check *c)
{
    const struct accounts *as = &c->guardian->accounts;

    while (c->next < as->n && !check_is_here(c, as->items[c->next]))
        c->next++;
    if (c->next == as->n) {
        check_done(c);
        return;
    }
    c->account = as->items[c->next++];
    check_account(c);
}

static void check_account(struct token_check *c)
{
    if (!check_is_here(c, c->account)) {
        check_next(c);
        return;
    }
    if (c->account->unresolved) {
        check_fail(c, &(struct token_answer){ .result = TOKEN_S_NO_KEY,
                                              .text = c->account->unresolved });
        return;
    }
    if (check_compose(c)) {
        check_fail(
            c, &(struct token_answer){ .r = -EBUSY, .text = "out of memory" });
        return;
    }
    (void)snprintf(c->thumbprint, sizeof(c->thumbprint), "%s",
                   c->account->row.acme.thumbprint);
    token_send(c->token,
               &(struct token_ask){ .op = TOKEN_OP_SIGN,
                                    .label = c->account->row.key_label,
                                    .alg = jwk_alg(&c->account->row.acme.jwk),
                                    .data = buf_bytes(&c->input) },
               check_on_signed, c);
}

static void check_on_keys(const struct token_answer *a, void *userdata)
{
    struct token_check *c = userdata;

    if (!token_answer_ok(a)) {
        check_fail(c, a);
        return;
    }
    token_open(c->token);
    check_next(c);
}

static void check_on_status(void *userdata)
{
    struct token_check *c = userdata;
    const struct token_status *st = token_status(c->token);

    if (strcmp(token_state(c->token), "ok") != 0) {
        check_fail(
            c,
            &(struct token_answer){
                .r = st->result == TOKEN_S_OK || !st->result ? -EHOSTDOWN : 0,
                .result = (enum token_result)st->result,
                .text = token_state_text(c->token) });
        return;
    }
    keycheck_start(c->guardian, c->token,
                   &(struct keycheck_fns){ .key = check_on_key,
                                           .again = check_on_again,
                                           .done = check_on_keys,
                                           .userdata = c });
}

ADMIN_METHOD(admin_on_token_check)
{
    struct guardian *g = userdata;
    struct token *t = admin_begin_token(g, call, parameters);
    struct token_check *c;

    if (!t)
        return;
    c = calloc(1, sizeof(*c));
    if (!c) {
        admin_error_busy(call);
        return;
    }
    *c = (struct token_check){
        .guardian = g, .call = call, .token = t, .keys = json_array()
    };
    token_refresh(t, TOKEN_OP_STATUS, check_on_status, c);
}
