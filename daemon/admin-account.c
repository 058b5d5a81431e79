/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/url.h"
#include "daemon/admin-call.h"
#include "daemon/params.h"

/* AccountList, AccountShow, and what a registration leaves behind:
 * AccountSetDirectory, AccountRegistered, AccountDeactivated. */

static json_t *list_json(char *const *list)
{
    json_t *json = json_array();

    for (; list && *list; list++)
        (void)json_array_append_new(json, json_string(*list));
    return json;
}

static json_t *jwk_json(const struct jwk *key)
{
    CLEANUP_BUF struct buf b = { 0 };

    return jwk_format(key, &b) ? NULL : json_loads(buf_str(&b), 0, NULL);
}

json_t *admin_account_json(const struct account *a)
{
    const struct store_account *r = &a->row;
    const struct acme_account *acme = &r->acme;
    const char *text = a->unresolved ? a->unresolved : r->status_text;

    return json_pack(
        "{s:s,s:s,s:s?,s:s,s:o,s:s,s:s,s:s,s:s,s:s,s:i,s:o,s:o,s:b,s:b,s:o,s:o,"
        "s:o,s:o,s:o,s:b,s:b}",
        "name", acme->name, "directory", acme->directory_url, "url",
        acme->account_url, "alg", jws_alg_name(jwk_alg(&acme->jwk)), "jwk",
        jwk_json(&acme->jwk), "thumbprint", acme->thumbprint, "status",
        account_status_name(account_status(a)), "statusText", text ? text : "",
        "token", r->token, "keyLabel", r->key_label, "generation",
        (int)r->generation, "attributes", admin_attrs_json(r->key_attrs),
        "unproven", admin_unproven_json(r->key_attrs), "software",
        (int)!!(r->key_attrs & TOKEN_ATTR_SOFTWARE), "suspended",
        (int)r->suspended, "created", admin_time(r->created_s), "registered",
        admin_time(r->registered_s), "contacts", list_json(r->contacts),
        "origins", list_json(acme->origins), "challengeMembers",
        list_json(acme->challenge_members), "allowQuery",
        (int)acme->allow_query, "allowHttpLoopback",
        (int)acme->allow_http_loopback);
}

void admin_reply_account(struct varlink_call *call, const struct account *a)
{
    varlink_reply_json(call,
                       json_pack("{s:o}", "account", admin_account_json(a)));
}

ADMIN_METHOD(admin_on_account_list)
{
    struct guardian *g = userdata;
    json_t *list;

    if (!params_take(call, parameters, NULL, 0))
        return;
    admin_note(g, call, &(struct admin_subject){ 0 });
    list = json_array();
    for (size_t i = 0; i < g->accounts.n; i++)
        (void)json_array_append_new(list,
                                    admin_account_json(g->accounts.items[i]));
    varlink_reply_json(call, json_pack("{s:o}", "accounts", list));
}

static json_t *directory_json(const struct acme_directory *d)
{
    if (!d->new_order)
        return json_null();
    return json_pack("{s:s,s:s,s:s,s:s?,s:s?,s:s?,s:s?}", "newNonce",
                     d->new_nonce, "newAccount", d->new_account, "newOrder",
                     d->new_order, "newAuthz", d->new_authz, "revokeCert",
                     d->revoke_cert, "keyChange", d->key_change, "renewalInfo",
                     d->renewal_info);
}

/* NULL: it was answered. */
static struct account *find(struct guardian *g, struct varlink_call *call,
                            const char *name)
{
    struct account *a = accounts_find(&g->accounts, name);

    if (!a)
        admin_error_no_account(call, name);
    return a;
}

ADMIN_METHOD(admin_on_account_show)
{
    struct guardian *g = userdata;
    const char *name = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
    };
    const struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = find(g, call, name);
    if (!a)
        return;
    admin_note(g, call, &(struct admin_subject){ .account = name });
    varlink_reply_json(call, json_pack("{s:o,s:o}", "account",
                                       admin_account_json(a), "endpoints",
                                       directory_json(&a->row.acme.directory)));
}

static void refused(struct varlink_call *call, const char *parameter,
                    const struct refusal *refusal)
{
    char text[REFUSAL_DETAIL_MAX + 64];

    (void)snprintf(text, sizeof(text), "%s: %s", reason_code(refusal->reason),
                   refusal->detail);
    admin_error_value(call, parameter, text);
}

/* Registry and memory; then the account is the answer (or {} with @empty). */
static void update(struct guardian *g, struct varlink_call *call,
                   struct account *a, const struct store_account *row,
                   bool empty)
{
    if (accounts_update(g, a, row))
        admin_error_busy(call);
    else if (empty)
        varlink_reply(call, (struct bytes){ 0 });
    else
        admin_reply_account(call, a);
}

/*
 * The strings of @d are borrowed from the parameters: the row is only copied
 * from. NULL, or the member at fault.
 */
static const char *read_endpoints(const json_t *object,
                                  struct acme_directory *d)
{
    const struct {
        const char *name;
        bool optional;
        char **ret;
    } members[] = {
        { "newNonce", false, &d->new_nonce },
        { "newAccount", false, &d->new_account },
        { "newOrder", false, &d->new_order },
        { "newAuthz", true, &d->new_authz },
        { "revokeCert", true, &d->revoke_cert },
        { "keyChange", true, &d->key_change },
        { "renewalInfo", true, &d->renewal_info },
    };
    const char *values[ARRAY_LEN(members)] = { NULL };
    struct param params[ARRAY_LEN(members)];
    const char *bad = NULL;

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        params[i] = (struct param){ members[i].name,
                                    PARAM_STRING,
                                    members[i].optional,
                                    { .string = &values[i] } };
    if (params_read(object, params, ARRAY_LEN(params), &bad))
        return bad;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        *members[i].ret = params_borrow(values[i]);
    return NULL;
}

ADMIN_METHOD(admin_on_account_set_directory)
{
    struct guardian *g = userdata;
    const char *name = "";
    const json_t *endpoints = NULL;
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "endpoints", PARAM_OBJECT, false, { .json = &endpoints } },
    };
    struct refusal refusal = { 0 };
    struct store_account row;
    struct account *a;
    const char *bad;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = find(g, call, name);
    if (!a)
        return;
    row = a->row;
    row.acme.directory = (struct acme_directory){ 0 };
    bad = read_endpoints(endpoints, &row.acme.directory);
    if (bad) {
        varlink_error_invalid_parameter(call, bad);
        return;
    }
    if (acme_account_check(&row.acme, &refusal)) {
        refused(call, "endpoints", &refusal);
        return;
    }
    if (admin_begin(g, call, &(struct admin_subject){ .account = name }))
        update(g, call, a, &row, true);
}

/* An account that is known never becomes another one by an answer of the CA. */
static int settle_registration(const struct account *a, const char *url,
                               struct store_account *row,
                               struct refusal *ret_refusal)
{
    if (a->row.acme.account_url && strcmp(a->row.acme.account_url, url) != 0)
        return refuse(ret_refusal, REASON_BAD_VALUE,
                      "it is registered as %s already",
                      a->row.acme.account_url);
    row->acme.account_url = params_borrow(url); /* only copied from */
    return acme_account_check(&row->acme, ret_refusal);
}

ADMIN_METHOD(admin_on_account_registered)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *url = "";
    const char *status = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "url", PARAM_STRING, false, { .string = &url } },
        { "status", PARAM_STRING, false, { .string = &status } },
    };
    struct refusal refusal = { 0 };
    struct store_account row;
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = find(g, call, name);
    if (!a)
        return;
    row = a->row;
    if (settle_registration(a, url, &row, &refusal)) {
        refused(call, "url", &refusal);
        return;
    }
    row.status = account_status_parse(status);
    if (row.status != ACCOUNT_VALID && row.status != ACCOUNT_DEACTIVATED &&
        row.status != ACCOUNT_REVOKED) {
        admin_error_value(call, "status",
                          "a CA says valid, deactivated or revoked");
        return;
    }
    if (row.registered_s == 0)
        row.registered_s = time(NULL);
    if (admin_begin(g, call,
                    &(struct admin_subject){ .account = name, .detail = url }))
        update(g, call, a, &row, false);
}

ADMIN_METHOD(admin_on_account_deactivated)
{
    struct guardian *g = userdata;
    const char *name = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
    };
    struct store_account row;
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = find(g, call, name);
    if (!a)
        return;
    if (!a->row.acme.account_url) {
        admin_error_state(call, account_status_name(account_status(a)),
                          "it was never registered");
        return;
    }
    row = a->row;
    row.status = ACCOUNT_DEACTIVATED;
    if (admin_begin(g, call, &(struct admin_subject){ .account = name }))
        update(g, call, a, &row, false);
}
