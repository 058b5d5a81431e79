/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "acme/b64url.h"
#include "acme/key-change.h"
#include "acme/request.h"
#include "daemon/admin-own.h"
#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/params.h"
#include "daemon/sha256.h"

/*
 * RotationSign: the requests by which the CA is asked which key it has, and
 * asked to change it. They are composed here, signed by a key of the rotation
 * that fits the question, verified with the public key that the registry has,
 * and (keyChange) stored before they are given out. What a key outside is to
 * sign is given out without its signature; the inner JWS of a keyChange comes
 * signed with the call then, and is to the letter what would be composed here.
 */

struct signing {
    struct guardian *guardian;
    struct varlink_call *call;
    struct account *account;
    enum rotation_ask ask;
    char *url, *nonce;
    const struct jwk *key;                /* of the signature that is made */
    struct buf inner_head, inner_payload; /* keyChange: base64url */
    struct buf head, payload;             /* of the answer: base64url */
    struct buf input;                     /* of the signature that is made */
    bool outer;          /* keyChange: the second of the two signatures */
    const json_t *inner; /* of a key outside; NULL: none */
    const struct registration_wish *reg; /* or NULL */
};

static void signing_free(struct signing *s)
{
    if (s->account && s->account->rotation)
        s->account->rotation->busy = false;
    free(s->url);
    free(s->nonce);
    buf_deinit(&s->inner_head);
    buf_deinit(&s->inner_payload);
    buf_deinit(&s->head);
    buf_deinit(&s->payload);
    buf_deinit(&s->input);
    free(s);
}

static bool is_new_key(const struct signing *s)
{
    return s->key == &s->account->rotation->new_key;
}

static const char *account_url(const struct account *a, bool new_key)
{
    const struct store_rotation *x = &a->rotation->row;
    const char *url = new_key ? x->new_url : x->old_url;

    return url ? url : a->row.acme.account_url;
}

/* The account as it is with the key that signs. */
static struct acme_account signing_account(const struct signing *s)
{
    struct acme_account acme = s->account->row.acme;

    acme.jwk = *s->key;
    acme.account_url = params_borrow(account_url(s->account, is_new_key(s)));
    return acme;
}

static int compose(struct signing *s, bool by_jwk, const char *payload)
{
    const struct acme_account acme = signing_account(s);
    int r;

    buf_clear(&s->input);
    r = acme_protected(&acme, by_jwk, bytes_from_str(s->nonce),
                       bytes_from_str(s->url), &s->head);
    if (r == 0)
        r = b64url_encode(bytes_from_str(payload), &s->payload);
    if (r == 0)
        r = buf_printf(&s->input, "%s.%s", buf_str(&s->head),
                       buf_str(&s->payload));
    return r;
}

static int compose_inner(struct signing *s)
{
    const struct rotation *r = s->account->rotation;
    int e;

    s->key = &r->new_key;
    e = key_change_inner(&r->old_key, &r->new_key,
                         s->account->row.acme.account_url, s->url,
                         &s->inner_head, &s->inner_payload);
    return e ? e
             : buf_printf(&s->input, "%s.%s", buf_str(&s->inner_head),
                          buf_str(&s->inner_payload));
}

static int compose_outer(struct signing *s, struct bytes inner)
{
    CLEANUP_BUF struct buf payload = { 0 };
    int r;

    s->outer = true;
    s->key = &s->account->rotation->old_key;
    r = key_change_outer(buf_str(&s->inner_head), buf_str(&s->inner_payload),
                         inner, &payload);
    return r ? r : compose(s, false, buf_str(&payload));
}

static int compose_registration(struct signing *s)
{
    CLEANUP_BUF struct buf payload = { 0 };
    int r = admin_registration_payload(s->reg, &payload);

    return r ? r : compose(s, true, buf_str(&payload));
}

static int compose_first(struct signing *s)
{
    const struct rotation *r = s->account->rotation;

    if (s->ask == ROTATION_ASK_KEY_CHANGE)
        return compose_inner(s);
    s->key = rotation_is_by_new(s->ask) ? &r->new_key : &r->old_key;
    if (s->ask == ROTATION_ASK_FIND_NEW)
        return compose(s, true, "{\"onlyReturnExisting\":true}");
    if (s->ask == ROTATION_ASK_REGISTER)
        return compose_registration(s);
    return compose(s, false,
                   s->ask == ROTATION_ASK_DEACTIVATE
                       ? "{\"status\":\"deactivated\"}"
                       : "");
}

/* ---- signatures ---- */

static int keep_request(struct signing *s, const char *signature)
{
    struct rotation *r = s->account->rotation;
    struct store_rotation next = r->row;
    struct courier *courier = courier_of(s->call);
    int e;

    if (!courier)
        return -ENOMEM;
    next.request_url = s->url;
    next.request_nonce = s->nonce;
    next.request_protected = params_borrow(buf_str(&s->head));
    next.request_payload = params_borrow(buf_str(&s->payload));
    next.request_signature = params_borrow(signature);
    next.sent_s = time(NULL);
    next.spent = false;
    next.tries++;
    e = rotate_commit(s->guardian, s->account, &next, NULL,
                      varlink_call_peer(s->call));
    if (e) {
        courier_unref(courier);
        return e;
    }
    courier_unref(r->courier);
    r->courier = courier;
    return 0;
}

/* Nothing in @raw: somebody else has to sign it. */
static void give_out(struct signing *s, struct bytes raw)
{
    CLEANUP_BUF struct buf signature = { 0 };
    int r = b64url_encode(raw, &signature);

    if (r == 0 && s->ask == ROTATION_ASK_KEY_CHANGE)
        r = keep_request(s, buf_str(&signature));
    if (r)
        admin_rotation_error(s->call, r);
    else
        varlink_reply_json(s->call,
                           json_pack("{s:s,s:s,s:s,s:s*}", "url", s->url,
                                     "protected", buf_str(&s->head), "payload",
                                     buf_str(&s->payload), "signature",
                                     raw.len > 0 ? buf_str(&signature) : NULL));
    signing_free(s);
}

static void ask_token(struct signing *s);
static void take_inner(struct signing *s);

static void go_outer(struct signing *s, struct bytes inner)
{
    if (compose_outer(s, inner)) {
        admin_error_busy(s->call);
        signing_free(s);
        return;
    }
    ask_token(s);
}

/* Meanwhile a timer or another call may have taken the rotation elsewhere. */
static bool is_due(const struct signing *s)
{
    uint64_t wait;

    s->account->rotation->busy = false;
    if (rotation_due(s->account, &wait) != s->ask)
        return false;
    s->account->rotation->busy = true;
    return true;
}

/* Where the CA is asked which key it has: one that the token does not have, or
 * has as another, is none of ours. */
static bool is_missing(const struct signing *s, const struct token_answer *a)
{
    const struct store_rotation *x = &s->account->rotation->row;

    if (x->state != ROTATION_UNRESOLVED &&
        (x->state != ROTATION_PLANNED || x->kind != ROTATION_KIND_RESOLVE))
        return false;
    return token_answer_ok(a)
               ? jws_verify(s->key, buf_bytes(&s->input), a->data) != 0
               : a->r == 0 && a->result == TOKEN_S_NO_KEY;
}

static void hear_missing(struct signing *s)
{
    static const struct rotation_answer answer = { .no_key = true };
    const struct rotation_clock now = { time(NULL), names_now_ms() };
    struct account *a = s->account;
    struct rotation *r = a->rotation;
    struct rotation_step next;
    int e = 0;

    if (is_due(s) && rotation_hear(&r->row, &r->run, s->ask, &answer,
                                   a->row.acme.account_url, &now, &next) == 0)
        e = rotate_commit(s->guardian, a, &next.row, &next.run,
                          varlink_call_peer(s->call));
    if (e)
        admin_rotation_error(s->call, e);
    else
        admin_error_state(s->call, rotation_state_name(r->row.state),
                          "the token does not have that key");
    signing_free(s);
}

/* The new key is gone before the CA was asked: of a registry from before an
 * abort, say. There is nothing to switch to. */
static bool is_gone(const struct signing *s, const struct token_answer *a)
{
    const struct store_rotation *x = &s->account->rotation->row;

    return s->ask == ROTATION_ASK_KEY_CHANGE && !s->outer && a->r == 0 &&
           a->result == TOKEN_S_NO_KEY && x->state == ROTATION_SWITCHING &&
           x->sent_s == 0;
}

static void give_up(struct signing *s)
{
    struct store_rotation next = s->account->rotation->row;
    int e;

    next.state = ROTATION_ABORTING;
    next.reason = params_borrow("new-key-gone");
    next.text = params_borrow("the token does not have the new key any more");
    e = rotate_commit(s->guardian, s->account, &next, NULL,
                      varlink_call_peer(s->call));
    if (e)
        admin_rotation_error(s->call, e);
    else
        admin_error_state(s->call, rotation_state_name(next.state), next.text);
    signing_free(s);
}

static void on_signed(const struct token_answer *a, void *userdata)
{
    struct signing *s = userdata;

    if (is_gone(s, a)) {
        give_up(s);
        return;
    }
    if (is_missing(s, a)) {
        hear_missing(s);
        return;
    }
    if (!token_answer_ok(a)) {
        admin_error_token(s->call, a);
        signing_free(s);
        return;
    }
    if (jws_verify(s->key, buf_bytes(&s->input), a->data)) {
        admin_error_token(s->call,
                          &(struct token_answer){
                              .result = TOKEN_S_BAD_SIGNATURE,
                              .text = "the signature does not fit the key "
                                      "that the registry has" });
        signing_free(s);
        return;
    }
    if (!is_due(s)) {
        admin_error_state(s->call,
                          rotation_state_name(s->account->rotation->row.state),
                          "this is not the question any more");
        signing_free(s);
        return;
    }
    if (s->ask != ROTATION_ASK_KEY_CHANGE || s->outer)
        give_out(s, a->data);
    else
        go_outer(s, a->data);
}

/* NULL, or what is wrong with it. */
static const char *read_inner(const struct signing *s, struct buf *signature)
{
    const char *head = "", *payload = "", *text = "", *bad;
    const struct param params[] = {
        { "protected", PARAM_STRING, false, { .string = &head } },
        { "payload", PARAM_STRING, false, { .string = &payload } },
        { "signature", PARAM_STRING, false, { .string = &text } },
    };

    if (!s->inner)
        return "is missing: the new key is outside, and signs first";
    if (params_read(s->inner, params, ARRAY_LEN(params), &bad))
        return "is protected, payload and signature";
    if (strcmp(head, buf_str(&s->inner_head)) != 0 ||
        strcmp(payload, buf_str(&s->inner_payload)) != 0)
        return "is not the key change that this rotation is";
    if (b64url_decode(bytes_from_str(text), signature, NULL) ||
        jws_verify(s->key, buf_bytes(&s->input), buf_bytes(signature)))
        return "is not signed by the new key";
    return NULL;
}

static void take_inner(struct signing *s)
{
    CLEANUP_BUF struct buf signature = { 0 };
    const char *bad = read_inner(s, &signature);

    if (!bad) {
        go_outer(s, buf_bytes(&signature));
        return;
    }
    admin_error_value(s->call, "inner", bad);
    signing_free(s);
}

static bool is_outside(const struct signing *s)
{
    const struct store_rotation *x = &s->account->rotation->row;

    return is_new_key(s) ? rotation_new_is_outside(x)
                         : rotation_old_is_outside(x);
}

/* A signature of a key outside comes with the call; the last one is made when
 * the request has gone out from here. */
static void ask_outside(struct signing *s)
{
    if (s->ask != ROTATION_ASK_KEY_CHANGE || s->outer)
        give_out(s, (struct bytes){ 0 });
    else
        take_inner(s);
}

static void ask_token(struct signing *s)
{
    const struct rotation *r = s->account->rotation;
    struct token *token;
    uint8_t digest[32];

    if (sha256_digest(s->guardian->sha256, buf_bytes(&s->input), digest)) {
        admin_error_busy(s->call);
        signing_free(s);
        return;
    }
    if (!admin_begin(s->guardian, s->call,
                     &(struct admin_subject){
                         .account = r->row.account,
                         .detail = rotation_ask_name(s->ask),
                         .input_sha256 = digest,
                         .thumbprint = is_new_key(s)
                                           ? r->row.new_thumbprint
                                           : r->row.old_thumbprint })) {
        signing_free(s);
        return;
    }
    if (is_outside(s)) {
        ask_outside(s);
        return;
    }
    token = guardian_token(s->guardian,
                           is_new_key(s) ? r->row.new_token : r->row.old_token);
    if (!token) {
        admin_error_no_token(s->call, is_new_key(s) ? r->row.new_token
                                                    : r->row.old_token);
        signing_free(s);
        return;
    }
    token_send(token,
               &(struct token_ask){ .op = TOKEN_OP_SIGN,
                                    .label = is_new_key(s) ? r->row.new_label
                                                           : r->row.old_label,
                                    .alg = jwk_alg(s->key),
                                    .data = buf_bytes(&s->input) },
               on_signed, s);
}

/* ---- the method ---- */

/* What some questions need beside the nonce; valid as long as the call. */
struct signing_more {
    const json_t *inner;
    struct registration_wish reg;
};

static const char *url_of(const struct account *a, enum rotation_ask ask)
{
    if (ask == ROTATION_ASK_KEY_CHANGE)
        return a->row.acme.directory.key_change;
    if (ask == ROTATION_ASK_FIND_NEW || ask == ROTATION_ASK_REGISTER)
        return a->row.acme.directory.new_account;
    return account_url(a, rotation_is_by_new(ask));
}

static struct signing *signing_new(struct guardian *g,
                                   struct varlink_call *call, struct account *a,
                                   enum rotation_ask ask, const char *nonce)
{
    struct signing *s = calloc(1, sizeof(*s));
    const char *url = url_of(a, ask);

    if (ask == ROTATION_ASK_SPEND)
        nonce = a->rotation->row.request_nonce;
    if (!s)
        return NULL;
    s->guardian = g;
    s->call = call;
    s->account = a;
    s->ask = ask;
    s->url = url ? strdup(url) : NULL;
    s->nonce = strdup(nonce);
    return s;
}

static void sign(struct guardian *g, struct varlink_call *call,
                 struct account *a, enum rotation_ask ask, const char *nonce,
                 const struct signing_more *more)
{
    struct signing *s = signing_new(g, call, a, ask, nonce);

    if (!s) {
        admin_error_busy(call);
        return;
    }
    s->inner = more->inner;
    s->reg = &more->reg;
    a->rotation->busy = true;
    if (!s->url || !s->nonce || compose_first(s)) {
        admin_error_busy(call);
        signing_free(s);
        return;
    }
    ask_token(s);
}

/* False: it was answered. */
static bool check_registration(struct varlink_call *call,
                               const struct account *a,
                               struct registration_wish *reg)
{
    CLEANUP_FREE char *kid = NULL;
    const char *bad = admin_contacts_check(reg->contacts);

    if (bad) {
        admin_error_value(call, "contacts", bad);
        return false;
    }
    return admin_check_binding(call, a, &a->rotation->new_key, reg->binding,
                               &kid);
}

ADMIN_METHOD(admin_on_rotation_sign)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *ask = "";
    const char *nonce = "";
    struct signing_more more = { 0 };
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
        { "ask", PARAM_STRING, false, { .string = &ask } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "inner", PARAM_OBJECT, true, { .json = &more.inner } },
        { "contacts", PARAM_STRINGS, true, { .json = &more.reg.contacts } },
        { "termsOfServiceAgreed",
          PARAM_BOOL,
          true,
          { .flag = &more.reg.agreed } },
        { "externalAccountBinding",
          PARAM_OBJECT,
          true,
          { .json = &more.reg.binding } },
    };
    enum rotation_ask which;
    struct account *a;
    uint64_t wait;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    which = rotation_ask_parse(ask);
    a = admin_rotation(g, call, name);
    if (!a)
        return;
    if (rotate_is_blocked(a))
        admin_error_state(call, account_status_name(account_status(a)),
                          a->unresolved);
    else if (!own_nonce_ok(nonce))
        admin_error_value(call, "nonce", "is 1 to 256 characters of base64url");
    else if (which == ROTATION_ASK_NONE || which == ROTATION_ASK_PROVE ||
             rotation_due(a, &wait) != which)
        admin_error_state(call, rotation_state_name(a->rotation->row.state),
                          "this is not what is to be asked now");
    else if (admin_may_ask(g, call, a, which) &&
             (which != ROTATION_ASK_REGISTER ||
              check_registration(call, a, &more.reg)))
        sign(g, call, a, which, nonce, &more);
}
