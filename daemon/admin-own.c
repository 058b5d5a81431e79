/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/admin-own.h"

#include <errno.h>
#include <string.h>

#include "acme/b64url.h"
#include "acme/request.h"
#include "daemon/rotate.h"
#include "daemon/sha256.h"

#define NONCE_MAX 256

struct own_request {
    struct varlink_call *call;
    struct account *account;
    char thumbprint[JWK_THP_TEXT_LEN + 1]; /* of the key that was asked */
    struct buf url, head, payload;         /* the last two as base64url */
    struct buf input;
    bool asks;
};

static void own_free(struct own_request *o)
{
    buf_deinit(&o->url);
    buf_deinit(&o->head);
    buf_deinit(&o->payload);
    buf_deinit(&o->input);
    free(o);
}

/* Nobody knows which key the CA has, or it is about to change. */
static bool own_is_held(const struct account *a, bool asks)
{
    enum rotate_gate gate = rotate_gate(a);
    const char *why = asks ? a->unresolved : account_why_unresolved(a);

    return why || gate == ROTATE_HELD || gate == ROTATE_CLOSED;
}

static void own_error_held(struct varlink_call *call, const struct account *a)
{
    const char *why = account_why_unresolved(a);

    admin_error_state(call, account_state(a),
                      why ? why : "a rotation of its key is under way");
}

/* A token that has just started may have been looked at only meanwhile. */
static void own_on_signed(const struct token_answer *a, void *userdata)
{
    CLEANUP_BUF struct buf signature = { 0 };
    struct own_request *o = userdata;

    if (!token_answer_ok(a)) {
        admin_error_token(o->call, a);
    } else if (own_is_held(o->account, o->asks) ||
               strcmp(o->thumbprint, o->account->row.acme.thumbprint) != 0) {
        own_error_held(o->call, o->account);
    } else if (b64url_encode(a->data, &signature)) {
        admin_error_busy(o->call);
    } else {
        o->account->released_ms = names_now_ms();
        varlink_reply_json(o->call, json_pack("{s:s,s:s,s:s,s:s}", "url",
                                              buf_str(&o->url), "protected",
                                              buf_str(&o->head), "payload",
                                              buf_str(&o->payload), "signature",
                                              buf_str(&signature)));
    }
    own_free(o);
}

static int own_compose(struct own_request *o, const struct acme_account *a,
                       bool by_jwk, const char *nonce, const char *url,
                       const char *payload)
{
    int r;

    r = buf_append_str(&o->url, url);
    if (r == 0)
        r = acme_protected(a, by_jwk, bytes_from_str(nonce),
                           bytes_from_str(url), &o->head);
    if (r == 0)
        r = b64url_encode(bytes_from_str(payload), &o->payload);
    if (r == 0)
        r = buf_printf(&o->input, "%s.%s", buf_str(&o->head),
                       buf_str(&o->payload));
    return r;
}

void own_sign(struct guardian *g, struct varlink_call *call, struct account *a,
              const struct own_params *p)
{
    struct own_request *o = calloc(1, sizeof(*o));
    uint8_t digest[32];
    int r = -ENOMEM;

    if (o) {
        o->call = call;
        o->account = a;
        o->asks = p->asks;
        memcpy(o->thumbprint, a->row.acme.thumbprint, sizeof(o->thumbprint));
        r = own_compose(o, &a->row.acme, p->by_jwk, p->nonce, p->url,
                        p->payload);
    }
    if (r == 0)
        r = sha256_digest(g->sha256, buf_bytes(&o->input), digest);
    if (r) {
        admin_error_busy(call);
        if (o)
            own_free(o);
        return;
    }
    if (!admin_begin(g, call,
                     &(struct admin_subject){ .account = a->row.acme.name,
                                              .detail = p->url,
                                              .identifiers = p->identifiers,
                                              .input_sha256 = digest,
                                              .thumbprint = o->thumbprint })) {
        own_free(o);
        return;
    }
    if (p->keep && p->keep(p->userdata)) {
        admin_error_busy(call);
        own_free(o);
        return;
    }
    token_send(a->token,
               &(struct token_ask){ .op = TOKEN_OP_SIGN,
                                    .label = a->row.key_label,
                                    .alg = jwk_alg(&a->row.acme.jwk),
                                    .data = buf_bytes(&o->input) },
               own_on_signed, o);
}

bool own_nonce_ok(const char *nonce)
{
    size_t n = strlen(nonce);

    return n >= 1 && n <= NONCE_MAX &&
           strspn(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789-_") == n;
}

static struct account *own_find(struct guardian *g, struct varlink_call *call,
                                const char *name, const char *nonce, bool asks)
{
    struct account *a = accounts_find(&g->accounts, name);

    if (!a) {
        admin_error_no_account(call, name);
        return NULL;
    }
    if (!a->token) {
        admin_error_no_token(call, a->row.token);
        return NULL;
    }
    if (!a->row.acme.directory.new_order) {
        admin_error_state(call, account_status_name(account_status(a)),
                          "its directory is not known yet");
        return NULL;
    }
    if (!account_has_key(a)) {
        admin_error_state(call, account_status_name(account_status(a)),
                          "its key is not here");
        return NULL;
    }
    if (own_is_held(a, asks)) {
        own_error_held(call, a);
        return NULL;
    }
    if (!own_nonce_ok(nonce)) {
        admin_error_value(call, "nonce", "is 1 to 256 characters of base64url");
        return NULL;
    }
    return a;
}

struct account *own_account(struct guardian *g, struct varlink_call *call,
                            const char *name, const char *nonce)
{
    return own_find(g, call, name, nonce, false);
}

static struct account *own_if_valid(struct varlink_call *call,
                                    struct account *a)
{
    if (!a)
        return NULL;
    if (a->row.status == ACCOUNT_VALID && a->row.acme.account_url)
        return a;
    admin_error_state(call, account_status_name(a->row.status),
                      "only a valid account can do this");
    return NULL;
}

struct account *own_valid_account(struct guardian *g, struct varlink_call *call,
                                  const char *name, const char *nonce)
{
    return own_if_valid(call, own_find(g, call, name, nonce, false));
}

struct account *own_asked_account(struct guardian *g, struct varlink_call *call,
                                  const char *name, const char *nonce)
{
    return own_if_valid(call, own_find(g, call, name, nonce, true));
}
