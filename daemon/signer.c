/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/signer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme/b64url.h"
#include "daemon/decide.h"
#include "daemon/params.h"
#include "daemon/rotate.h"
#include "daemon/signer-account.h"
#include "daemon/signer-error.h"
#include "ipc/interfaces.h"
#include "ipc/varlink-server.h"

/*
 * Idea: a method reads its parameters, finds the account that the caller may
 * use, and hands over to decide.c. Answers are written by hand: that is a
 * quarter of what the daemon spends on a request.
 */

static const char *method_name(const struct varlink_call *call)
{
    const char *dot = strrchr(varlink_call_method(call), '.');

    return dot ? dot + 1 : varlink_call_method(call);
}

/* A failure of ours that leaves nothing to say. */
static void answer_busy(struct varlink_call *call)
{
    signer_refuse(call, method_name(call),
                  &(struct refusal){ .reason = REASON_BUSY });
}

static void answer(struct varlink_call *call, int r, const struct buf *b)
{
    if (r)
        answer_busy(call);
    else
        varlink_reply(call, buf_bytes(b));
}

/* NULL: it was answered. */
static struct account *find_account(struct guardian *g,
                                    struct varlink_call *call, const char *name)
{
    struct refusal refusal = { 0 };
    struct account *a = NULL;
    int r;

    r = signer_account_find(g, varlink_call_peer(call),
                            varlink_call_instance(call), name, &a, &refusal);
    if (r == 0)
        return a;
    if (r == SIGNER_ACCOUNT_E_WHICH)
        varlink_error_invalid_parameter(call, "account");
    else
        signer_refuse(call, method_name(call), &refusal);
    return NULL;
}

static void on_list_accounts(struct varlink_call *call,
                             const json_t *parameters, void *userdata)
{
    CLEANUP_BUF struct buf b = { 0 };

    if (!params_take(call, parameters, NULL, 0))
        return;
    answer(call,
           signer_account_list(userdata, varlink_call_peer(call),
                               varlink_call_instance(call), &b),
           &b);
}

static void on_get_account(struct varlink_call *call, const json_t *parameters,
                           void *userdata)
{
    CLEANUP_BUF struct buf b = { 0 };
    const char *name = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &name } },
    };
    struct account *a;
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = find_account(userdata, call, name);
    if (!a)
        return;
    r = buf_append_str(&b, "{\"account\":");
    if (r == 0)
        r = signer_account_format(a, &b);
    if (r == 0)
        r = buf_append_char(&b, '}');
    answer(call, r, &b);
}

static void on_input_signed(const struct decide_outcome *o, void *userdata)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct varlink_call *call = userdata;
    int r;

    if (o->reason) {
        signer_error(call, o);
        return;
    }
    r = buf_reserve(&b, 720); /* RSA 4096 and the words around it */
    if (r == 0)
        r = buf_append_str(&b, "{\"signature\":\"");
    if (r == 0)
        r = b64url_encode(o->signature, &b);
    if (r == 0)
        r = buf_append_str(&b, "\"}");
    answer(call, r, &b);
}

static void on_sign_input(struct varlink_call *call, const json_t *parameters,
                          void *userdata)
{
    const char *name = NULL;
    const char *head = "";
    const char *payload = "";
    const char *thumbprint = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &name } },
        { "protected", PARAM_STRING, false, { .string = &head } },
        { "payload", PARAM_STRING, false, { .string = &payload } },
        { "thumbprint", PARAM_STRING, true, { .string = &thumbprint } },
    };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = find_account(userdata, call, name);
    if (!a)
        return;
    decide_sign(userdata,
                &(struct decide_input){ .peer = varlink_call_peer(call),
                                        .socket = varlink_call_instance(call),
                                        .account = a,
                                        .protected_b64 = bytes_from_str(head),
                                        .payload_b64 = bytes_from_str(payload),
                                        .thumbprint = thumbprint },
                on_input_signed, call);
}

/* A request that the daemon composes: both parts are needed for the answer. */
struct composed {
    struct varlink_call *call;
    struct buf head, payload; /* base64url */
};

static void composed_free(struct composed *c)
{
    buf_deinit(&c->head);
    buf_deinit(&c->payload);
    free(c);
}

static void on_composed_signed(const struct decide_outcome *o, void *userdata)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct composed *c = userdata;
    int r;

    if (o->reason) {
        signer_error(c->call, o);
        composed_free(c);
        return;
    }
    r = buf_printf(&b,
                   "{\"protected\":\"%s\",\"payload\":\"%s\","
                   "\"signature\":\"",
                   buf_str(&c->head), buf_str(&c->payload));
    if (r == 0)
        r = b64url_encode(o->signature, &b);
    if (r == 0)
        r = buf_append_str(&b, "\"}");
    answer(c->call, r, &b);
    composed_free(c);
}

struct sign_params {
    const char *account, *url, *nonce, *payload, *thumbprint;
};

static int compose(const struct account *a, const struct sign_params *p,
                   struct composed *c, struct refusal *ret_refusal)
{
    const struct acme_directory *d = &a->row.acme.directory;
    bool by_jwk = d->new_account && strcmp(p->url, d->new_account) == 0;
    int r;

    if (!d->new_order || (!by_jwk && !a->row.acme.account_url))
        return refuse(ret_refusal, REASON_ACCOUNT_NOT_READY, "%s",
                      account_state(a));
    r = acme_protected(&a->row.acme, by_jwk, bytes_from_str(p->nonce),
                       bytes_from_str(p->url), &c->head);
    return r ? r : b64url_encode(bytes_from_str(p->payload), &c->payload);
}

static void sign(struct guardian *g, struct varlink_call *call,
                 struct account *a, const struct sign_params *p)
{
    struct composed *c = calloc(1, sizeof(*c));
    struct refusal refusal = { .reason = REASON_BUSY };

    if (!c || compose(a, p, c, &refusal)) {
        signer_refuse(call, method_name(call), &refusal);
        if (c)
            composed_free(c);
        return;
    }
    c->call = call;
    decide_sign(g,
                &(struct decide_input){ .peer = varlink_call_peer(call),
                                        .socket = varlink_call_instance(call),
                                        .account = a,
                                        .protected_b64 = buf_bytes(&c->head),
                                        .payload_b64 = buf_bytes(&c->payload),
                                        .thumbprint = p->thumbprint },
                on_composed_signed, c);
}

static void on_sign(struct varlink_call *call, const json_t *parameters,
                    void *userdata)
{
    struct sign_params p = { .url = "", .nonce = "", .payload = "" };
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &p.account } },
        { "url", PARAM_STRING, false, { .string = &p.url } },
        { "nonce", PARAM_STRING, false, { .string = &p.nonce } },
        { "payload", PARAM_STRING, false, { .string = &p.payload } },
        { "thumbprint", PARAM_STRING, true, { .string = &p.thumbprint } },
    };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = find_account(userdata, call, p.account);
    if (a)
        sign(userdata, call, a, &p);
}

/* One computed with a key that is about to go would fail at the CA. */
struct key_authorization_call {
    struct guardian *guardian;
    struct varlink_call *call;
    struct account *account;
    const char *token; /* of the call's parameters */
};

static void key_authorization(struct guardian *g, struct varlink_call *call,
                              const struct account *a, const char *token)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct refusal refusal = { 0 };
    int r;

    r = decide_state(g, varlink_call_peer(call), a, &refusal);
    if (r == 0)
        r = signer_key_authorization(a, token, &b, &refusal);
    if (r == REFUSED)
        signer_refuse(call, method_name(call), &refusal);
    else
        answer(call, r, &b);
}

/* The rules may have been reloaded meanwhile: they are asked again. */
static void on_key_released(bool released, void *userdata)
{
    CLEANUP_FREE struct key_authorization_call *k = userdata;
    struct refusal refusal = { .reason = REASON_ACCOUNT_NOT_READY };
    const struct account *a;

    if (released) {
        a = find_account(k->guardian, k->call, k->account->row.acme.name);
        if (a)
            key_authorization(k->guardian, k->call, a, k->token);
        return;
    }
    (void)snprintf(refusal.detail, sizeof(refusal.detail), "%s",
                   account_state(k->account));
    signer_refuse(k->call, method_name(k->call), &refusal);
}

static void hold_key_authorization(const struct key_authorization_call *k)
{
    struct key_authorization_call *copy = malloc(sizeof(*copy));
    struct hold_entry *entry;

    if (copy)
        *copy = *k;
    if (copy && hold_add(&k->account->hold, k->guardian->event,
                         ROTATION_HOLD_MS, on_key_released, copy, &entry) == 0)
        return;
    free(copy);
    answer_busy(k->call);
}

static void on_key_authorization(struct varlink_call *call,
                                 const json_t *parameters, void *userdata)
{
    struct key_authorization_call k = { .guardian = userdata,
                                        .call = call,
                                        .token = "" };
    const char *name = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &name } },
        { "token", PARAM_STRING, false, { .string = &k.token } },
    };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    k.account = find_account(k.guardian, call, name);
    if (!k.account)
        return;
    /* What is refused anyway does not wait. */
    if (rotate_gate(k.account) == ROTATE_HELD &&
        account_status(k.account) == ACCOUNT_VALID)
        hold_key_authorization(&k);
    else
        key_authorization(k.guardian, call, k.account, k.token);
}

static void on_check(struct varlink_call *call, const json_t *parameters,
                     void *userdata)
{
    CLEANUP_BUF struct buf b = { 0 };
    const char *name = NULL;
    const char *operation = "";
    const json_t *identifiers = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &name } },
        { "operation", PARAM_STRING, false, { .string = &operation } },
        { "identifiers", PARAM_STRINGS, false, { .json = &identifiers } },
    };
    struct refusal refusal = { 0 };
    struct account *a;
    enum acme_op op;
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    op = acme_op_parse(operation);
    if (op == ACME_OP_UNSET) {
        varlink_error_invalid_parameter(call, "operation");
        return;
    }
    a = find_account(userdata, call, name);
    if (!a)
        return;
    r = signer_check(userdata, varlink_call_peer(call),
                     varlink_call_instance(call), a, op, identifiers, &b,
                     &refusal);
    if (r == REFUSED)
        signer_refuse(call, method_name(call), &refusal);
    else
        answer(call, r, &b);
}

/* Who no rule set matches gets nothing, and is counted only: it must not be
 * able to fill a log. */
static int authorise(struct varlink_call *call,
                     const struct varlink_method *method, void *userdata)
{
    struct guardian *g = userdata;
    struct policy_caller caller =
        decide_caller(varlink_call_peer(call), varlink_call_instance(call));

    if (policy_knows(g->policy, &caller, &g->names.policy))
        return 0;
    g->n_no_rule++;
    if (g->audit)
        audit_count_refusal(g->audit, caller.uid);
    signer_refuse(call, method->name,
                  &(struct refusal){ .reason = REASON_NO_RULE });
    return 1;
}

static const struct varlink_method methods[] = {
    { "SignInput", on_sign_input, 0 },
    { "Sign", on_sign, 0 },
    { "KeyAuthorization", on_key_authorization, 0 },
    { "GetAccount", on_get_account, 0 },
    { "ListAccounts", on_list_accounts, 0 },
    { "Check", on_check, 0 },
};

int signer_register(struct guardian *g)
{
    g->signer = (struct varlink_interface){
        .name = SIGNER_INTERFACE,
        .description = varlink_org_acmeguardian_Signer,
        .methods = methods,
        .n_methods = ARRAY_LEN(methods),
        .authorise = authorise,
        .userdata = g,
    };
    return varlink_server_add(g->varlink, &g->signer);
}
