/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/json-strict.h"
#include "daemon/admin-call.h"
#include "daemon/params.h"
#include "daemon/record-rules.h"
#include "daemon/registry.h"

/* AccountList, AccountShow, and what the CA's answers leave behind:
 * AccountRegistered, AccountUpdated, AccountDeactivated. */

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

static json_t *meta_json(const struct store_account *r)
{
    const struct acme_meta *m = &r->meta;

    if (!r->meta_known)
        return json_null();
    return json_pack(
        "{s:s?,s:b,s:s?,s:o,s:o,s:o}", "termsOfService", m->terms,
        "externalAccountRequired", (int)m->external_account_required,
        "accountHashPrefix", m->account_hash_prefix, "issuerDomainNames",
        list_json(m->issuers), "caaIdentities", list_json(m->caa_identities),
        "profiles", list_json(m->profiles));
}

static json_t *proof_json(const struct store_account *r)
{
    struct record_refusal refusal;
    int current;

    if (r->proof_s == 0)
        return json_null();
    current = record_proof_check(r, time(NULL), &refusal) == 0;
    return json_pack("{s:s,s:s,s:o,s:b}", "thumbprint", r->proof_thumbprint,
                     "url", r->proof_url, "time", admin_time(r->proof_s),
                     "current", current);
}

static json_t *not_proven_json(const struct store_account *r)
{
    if (r->unproven_s == 0)
        return json_null();
    return json_pack("{s:s,s:s,s:o}", "reason", r->unproven_reason, "text",
                     r->unproven_text, "time", admin_time(r->unproven_s));
}

json_t *admin_account_json(const struct account *a)
{
    const struct store_account *r = &a->row;
    const struct acme_account *acme = &r->acme;
    const char *why = account_why_unresolved(a);
    const char *text = why ? why : r->status_text;

    return json_pack(
        "{s:s,s:s,s:s?,s:s,s:o,s:s,s:s,s:s,s:s,s:s,s:i,s:o,s:o,s:b,s:b,s:o,s:o,"
        "s:o,s:o,s:o,s:b,s:b,s:s?,s:o,s:o,s:o,s:o,s:b,s:o,s:o}",
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
        (int)acme->allow_http_loopback, "externalAccount", r->external_account,
        "meta", meta_json(r), "issuers", list_json(r->issuers), "proof",
        proof_json(r), "notProven", not_proven_json(r), "staging",
        (int)record_is_staging(r), "keySince", admin_time(r->key_since_s),
        "schedule", admin_schedule_json(a));
}

void admin_reply_account(struct varlink_call *call, const struct account *a)
{
    varlink_reply_json(call,
                       json_pack("{s:o}", "account", admin_account_json(a)));
}

static int list_item(struct guardian *g, const struct account *a, json_t **ret)
{
    (void)g;
    *ret = admin_account_json(a);
    return *ret ? 0 : -ENOMEM;
}

ADMIN_METHOD(admin_on_account_list)
{
    struct guardian *g = userdata;
    struct admin_paging q = { .after = "" };
    const struct param params[] = { ADMIN_PAGING_PARAMS(&q) };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    admin_note(g, call, &(struct admin_subject){ 0 });
    admin_reply_accounts(g, call, &q, "accounts", NULL, list_item);
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

struct account *admin_account(struct guardian *g, struct varlink_call *call,
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
    a = admin_account(g, call, name);
    if (!a)
        return;
    admin_note(g, call, &(struct admin_subject){ .account = name });
    varlink_reply_json(call, json_pack("{s:o,s:o}", "account",
                                       admin_account_json(a), "endpoints",
                                       directory_json(&a->row.acme.directory)));
}

void admin_update_account(struct guardian *g, struct varlink_call *call,
                          struct account *a, const struct store_account *row)
{
    int r = accounts_update(g, a, row);

    if (r)
        registry_error(call, r);
    else
        admin_reply_account(call, a);
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

/* False: it was answered. */
static bool take_status(struct varlink_call *call, const char *status,
                        struct store_account *row)
{
    row->status = account_status_parse(status);
    if (row->status == ACCOUNT_VALID || row->status == ACCOUNT_DEACTIVATED ||
        row->status == ACCOUNT_REVOKED)
        return true;
    admin_error_value(call, "status",
                      "a CA says valid, deactivated or revoked");
    return false;
}

static void refuse_state(struct varlink_call *call, const struct account *a)
{
    admin_error_state(call, account_status_name(account_status(a)),
                      account_has_key(a) ? "it was never registered"
                                         : "its key is not here");
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
    a = admin_account(g, call, name);
    if (!a)
        return;
    if (!account_has_key(a)) {
        refuse_state(call, a);
        return;
    }
    row = a->row;
    if (settle_registration(a, url, &row, &refusal)) {
        admin_error_refusal(call, "url", &refusal);
        return;
    }
    if (!take_status(call, status, &row))
        return;
    if (row.registered_s == 0)
        row.registered_s = time(NULL);
    if (row.external_account_sent) {
        row.external_account = row.external_account_sent;
        row.external_account_sent = NULL;
    }
    if (admin_begin(g, call,
                    &(struct admin_subject){ .account = name, .detail = url }))
        admin_update_account(g, call, a, &row);
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
    a = admin_account(g, call, name);
    if (!a)
        return;
    if (!a->row.acme.account_url || !account_has_key(a)) {
        refuse_state(call, a);
        return;
    }
    row = a->row;
    row.status = ACCOUNT_DEACTIVATED;
    if (admin_begin(g, call, &(struct admin_subject){ .account = name }))
        admin_update_account(g, call, a, &row);
}

/* NULL for contacts: they stay. */
static void updated(struct guardian *g, struct varlink_call *call,
                    struct account *a, const char *status,
                    const json_t *contacts)
{
    CLEANUP_FREE char **list = NULL;
    struct store_account row;

    if (contacts && admin_borrow_list(contacts, ADMIN_CONTACTS_MAX, &list)) {
        admin_error_busy(call);
        return;
    }
    row = a->row;
    if (contacts)
        row.contacts = list;
    if (take_status(call, status, &row) &&
        admin_begin(g, call,
                    &(struct admin_subject){ .account = row.acme.name,
                                             .detail = status }))
        admin_update_account(g, call, a, &row);
}

ADMIN_METHOD(admin_on_account_updated)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *status = "";
    const json_t *contacts = NULL;
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "status", PARAM_STRING, false, { .string = &status } },
        { "contacts", PARAM_STRINGS, true, { .json = &contacts } },
    };
    const char *bad;
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, name);
    if (!a)
        return;
    if (!a->row.acme.account_url || !account_has_key(a)) {
        refuse_state(call, a);
        return;
    }
    bad = admin_contacts_check(contacts);
    if (bad)
        admin_error_value(call, "contacts", bad);
    else
        updated(g, call, a, status, contacts);
}
