/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme/eab.h"
#include "daemon/admin-call.h"
#include "daemon/admin-own.h"
#include "daemon/params.h"

/* Registering, updating and deactivating an account. */

#define CONTACT_LEN_MAX 512

const char *admin_contacts_check(const json_t *contacts)
{
    const json_t *item;
    size_t i;

    if (json_array_size(contacts) > ADMIN_CONTACTS_MAX)
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

struct registration {
    struct guardian *guardian;
    struct account *account;
    struct registration_wish wish;
    char *kid; /* of the binding */
};

/* Kept, so that account show tells what the CA was told. */
static int keep_registration(void *userdata)
{
    CLEANUP_FREE char **list = NULL;
    const struct registration *reg = userdata;
    struct store_account row = reg->account->row;
    int r;

    r = admin_borrow_list(reg->wish.contacts, ADMIN_CONTACTS_MAX, &list);
    if (r)
        return r;
    row.contacts = list;
    row.external_account_sent = reg->kid;
    return accounts_update(reg->guardian, reg->account, &row);
}

static int add_member(struct buf *b, const char *name, const char *value)
{
    return buf_printf(b, "%c\"%s\":%s", b->len > 0 ? ',' : '{', name, value);
}

static int add_json_member(struct buf *b, const char *name, const json_t *value)
{
    CLEANUP_FREE char *text = json_dumps(value, JSON_COMPACT);

    return text ? add_member(b, name, text) : -ENOMEM;
}

static int end_object(struct buf *b)
{
    return buf_append_str(b, b->len > 0 ? "}" : "{}");
}

int admin_registration_payload(const struct registration_wish *reg,
                               struct buf *b)
{
    int r = 0;

    if (reg->agreed)
        r = add_member(b, "termsOfServiceAgreed", "true");
    if (r == 0 && json_array_size(reg->contacts) > 0)
        r = add_json_member(b, "contact", reg->contacts);
    if (r == 0 && reg->binding)
        r = add_json_member(b, "externalAccountBinding", reg->binding);
    return r ? r : end_object(b);
}

/* A binding for another key or CA is nothing that this account should sign. */
bool admin_check_binding(struct varlink_call *call, const struct account *a,
                         const struct jwk *key, const json_t *binding,
                         char **ret_kid)
{
    CLEANUP_FREE char *text = NULL;
    struct refusal refusal = { 0 };
    int r;

    if (!binding)
        return true;
    text = json_dumps(binding, JSON_COMPACT);
    r = text ? eab_check(bytes_from_str(text), key,
                         a->row.acme.directory.new_account, ret_kid, &refusal)
             : -ENOMEM;
    if (r == REFUSED)
        admin_error_refusal(call, "externalAccountBinding", &refusal);
    else if (r)
        admin_error_busy(call);
    return r == 0;
}

static void sign_registration(struct varlink_call *call,
                              struct registration *reg, const char *nonce)
{
    CLEANUP_BUF struct buf payload = { 0 };
    struct account *a = reg->account;
    const char *bad = admin_contacts_check(reg->wish.contacts);

    if (bad) {
        admin_error_value(call, "contacts", bad);
        return;
    }
    if (!admin_check_binding(call, a, &a->row.acme.jwk, reg->wish.binding,
                             &reg->kid))
        return;
    if (admin_registration_payload(&reg->wish, &payload)) {
        admin_error_busy(call);
        return;
    }
    own_sign(reg->guardian, call, a,
             &(struct own_params){ .nonce = nonce,
                                   .url = a->row.acme.directory.new_account,
                                   .payload = buf_str(&payload),
                                   .by_jwk = true,
                                   .keep = keep_registration,
                                   .userdata = reg });
}

ADMIN_METHOD(admin_on_account_sign_registration)
{
    struct guardian *g = userdata;
    struct registration reg = { .guardian = g };
    const char *name = "";
    const char *nonce = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "contacts", PARAM_STRINGS, false, { .json = &reg.wish.contacts } },
        { "termsOfServiceAgreed",
          PARAM_BOOL,
          false,
          { .flag = &reg.wish.agreed } },
        { "externalAccountBinding",
          PARAM_OBJECT,
          true,
          { .json = &reg.wish.binding } },
    };
    struct account *a;

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
    reg.account = a;
    sign_registration(call, &reg, nonce);
    free(reg.kid);
}

static void sign_update(struct guardian *g, struct varlink_call *call,
                        struct account *a, const json_t *contacts, bool agreed,
                        const char *nonce)
{
    CLEANUP_BUF struct buf payload = { 0 };
    int r = 0;

    if (agreed)
        r = add_member(&payload, "termsOfServiceAgreed", "true");
    if (r == 0 && contacts)
        r = add_json_member(&payload, "contact", contacts);
    if (r == 0)
        r = end_object(&payload);
    if (r) {
        admin_error_busy(call);
        return;
    }
    own_sign(g, call, a,
             &(struct own_params){ .nonce = nonce,
                                   .url = a->row.acme.account_url,
                                   .payload = buf_str(&payload) });
}

ADMIN_METHOD(admin_on_account_sign_update)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *nonce = "";
    const json_t *contacts = NULL;
    bool agreed = false;
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "contacts", PARAM_STRINGS, true, { .json = &contacts } },
        { "termsOfServiceAgreed", PARAM_BOOL, true, { .flag = &agreed } },
    };
    struct account *a;
    const char *bad;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = own_valid_account(g, call, name, nonce);
    if (!a)
        return;
    bad = admin_contacts_check(contacts);
    if (!contacts && !agreed)
        bad = "are given, or termsOfServiceAgreed is true: else there is "
              "nothing to update";
    if (bad)
        admin_error_value(call, "contacts", bad);
    else
        sign_update(g, call, a, contacts, agreed, nonce);
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
    /* If the CA has another key by now it refuses, and no harm is done. */
    a = own_asked_account(g, call, name, nonce);
    if (!a)
        return;
    own_sign(g, call, a,
             &(struct own_params){ .nonce = nonce,
                                   .url = a->row.acme.account_url,
                                   .payload = "{\"status\":\"deactivated\"}",
                                   .asks = true });
}
