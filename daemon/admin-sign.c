/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme/b64url.h"
#include "acme/request.h"
#include "daemon/admin-call.h"
#include "daemon/params.h"
#include "daemon/sha256.h"

/*
 * The guardian's own requests: registering and deactivating an account. The
 * daemon composes them, so that not even an administrator has anything else
 * signed with the account's key.
 */

#define CONTACTS_MAX 16
#define CONTACT_LEN_MAX 512
#define NONCE_MAX 256

struct own_request {
    struct varlink_call *call;
    const struct account *account;
    struct buf url, head, payload; /* the last two as base64url */
    struct buf input;
};

static void own_free(struct own_request *o)
{
    buf_deinit(&o->url);
    buf_deinit(&o->head);
    buf_deinit(&o->payload);
    buf_deinit(&o->input);
    free(o);
}

/* Nobody knows which key the CA has. */
static void own_error_unresolved(struct varlink_call *call,
                                 const struct account *a)
{
    admin_error_state(call, account_status_name(account_status(a)),
                      a->unresolved);
}

/* A token that has just started may have been looked at only meanwhile. */
static void own_on_signed(const struct token_answer *a, void *userdata)
{
    CLEANUP_BUF struct buf signature = { 0 };
    struct own_request *o = userdata;

    if (!token_answer_ok(a))
        admin_error_token(o->call, a);
    else if (o->account->unresolved)
        own_error_unresolved(o->call, o->account);
    else if (b64url_encode(a->data, &signature))
        admin_error_busy(o->call);
    else
        varlink_reply_json(o->call, json_pack("{s:s,s:s,s:s,s:s}", "url",
                                              buf_str(&o->url), "protected",
                                              buf_str(&o->head), "payload",
                                              buf_str(&o->payload), "signature",
                                              buf_str(&signature)));
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

struct own_params {
    const char *nonce, *url, *payload;
    bool by_jwk;
};

static void own_sign(struct guardian *g, struct varlink_call *call,
                     const struct account *a, const struct own_params *p)
{
    struct own_request *o = calloc(1, sizeof(*o));
    uint8_t digest[32];
    int r = -ENOMEM;

    if (o) {
        o->call = call;
        o->account = a;
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
                                              .input_sha256 = digest })) {
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

static bool nonce_ok(const char *nonce)
{
    size_t n = strlen(nonce);

    return n >= 1 && n <= NONCE_MAX &&
           strspn(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789-_") == n;
}

/* NULL: it was answered. */
static struct account *own_account(struct guardian *g,
                                   struct varlink_call *call, const char *name,
                                   const char *nonce)
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
    if (a->unresolved) {
        own_error_unresolved(call, a);
        return NULL;
    }
    if (!nonce_ok(nonce)) {
        admin_error_value(call, "nonce", "is 1 to 256 characters of base64url");
        return NULL;
    }
    return a;
}

/* mailto:, tel: and what else a CA may take; never more than one line. */
static const char *contacts_check(const json_t *contacts)
{
    const json_t *item;
    size_t i;

    if (json_array_size(contacts) > CONTACTS_MAX)
        return "are at most 16";
    json_array_foreach(contacts, i, item)
    {
        const char *s = json_string_value(item);
        size_t n = strlen(s);

        if (n < 3 || n > CONTACT_LEN_MAX || !strchr(s, ':'))
            return "are URLs like mailto:admin@example.org";
        for (; *s; s++) {
            if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
                return "are ASCII without spaces";
        }
    }
    return NULL;
}

/* Kept, so that account show tells what the CA was told. */
static int keep_contacts(struct guardian *g, struct account *a,
                         const json_t *contacts)
{
    char *list[CONTACTS_MAX + 1] = { NULL };
    struct store_account row = a->row;

    for (size_t i = 0; i < json_array_size(contacts); i++)
        list[i] = params_borrow(json_string_value(
            json_array_get(contacts, i))); /* only copied from */
    row.contacts = list;
    return accounts_update(g, a, &row);
}

ADMIN_METHOD(admin_on_account_sign_registration)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *nonce = "";
    const json_t *contacts = NULL;
    bool agreed = false;
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "contacts", PARAM_STRINGS, false, { .json = &contacts } },
        { "termsOfServiceAgreed", PARAM_BOOL, false, { .flag = &agreed } },
    };
    CLEANUP_FREE char *list = NULL;
    CLEANUP_BUF struct buf payload = { 0 };
    struct account *a;
    const char *bad;
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = own_account(g, call, name, nonce);
    if (!a)
        return;
    if (a->row.status != ACCOUNT_CREATED && a->row.status != ACCOUNT_VALID) {
        admin_error_state(call, account_status_name(a->row.status),
                          "only an account that is not dead is registered");
        return;
    }
    bad = contacts_check(contacts);
    if (bad) {
        admin_error_value(call, "contacts", bad);
        return;
    }
    list = json_dumps(contacts, JSON_COMPACT);
    r = list ? keep_contacts(g, a, contacts) : -ENOMEM;
    if (r == 0)
        r = buf_printf(&payload, "{%s%s%s%s}",
                       agreed ? "\"termsOfServiceAgreed\":true" : "",
                       agreed && json_array_size(contacts) ? "," : "",
                       json_array_size(contacts) ? "\"contact\":" : "",
                       json_array_size(contacts) ? list : "");
    if (r) {
        admin_error_busy(call);
        return;
    }
    own_sign(g, call, a,
             &(struct own_params){ .nonce = nonce,
                                   .url = a->row.acme.directory.new_account,
                                   .payload = buf_str(&payload),
                                   .by_jwk = true });
}

ADMIN_METHOD(admin_on_account_sign_deactivation)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *nonce = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
    };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = own_account(g, call, name, nonce);
    if (!a)
        return;
    if (a->row.status != ACCOUNT_VALID || !a->row.acme.account_url) {
        admin_error_state(call, account_status_name(a->row.status),
                          "only a valid account can be deactivated");
        return;
    }
    own_sign(g, call, a,
             &(struct own_params){ .nonce = nonce,
                                   .url = a->row.acme.account_url,
                                   .payload = "{\"status\":\"deactivated\"}" });
}
