/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "acme/b64url.h"
#include "acme/dns-name.h"
#include "acme/request.h"
#include "daemon/admin-own.h"
#include "daemon/authorization-url.h"
#include "daemon/params.h"

/*
 * Looking at the account and its resources, and what taking a name back needs:
 * an order to find its authorization by, and the end of that.
 */

ADMIN_METHOD(admin_on_account_sign_proof)
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
    a = own_asked_account(g, call, name, nonce);
    if (a)
        own_sign(g, call, a,
                 &(struct own_params){ .nonce = nonce,
                                       .url = a->row.acme.account_url,
                                       .payload = "",
                                       .asks = true });
}

/* By the reader of clients' requests, so that the rules are the same. */
static int check_fetch(const struct acme_account *a, const char *nonce,
                       const char *url, struct refusal *ret_refusal)
{
    CLEANUP_ACME_REQUEST struct acme_request *request = NULL;
    CLEANUP_BUF struct buf head = { 0 };
    int r;

    r = acme_protected(a, false, bytes_from_str(nonce), bytes_from_str(url),
                       &head);
    if (r == 0)
        r = acme_request_read(a, buf_bytes(&head), (struct bytes){ 0 },
                              &request, ret_refusal);
    if (r)
        return r;
    return request->op == ACME_OP_FETCH ? 0 : -EINVAL;
}

ADMIN_METHOD(admin_on_account_sign_fetch)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *nonce = "";
    const char *url = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "url", PARAM_STRING, false, { .string = &url } },
    };
    struct refusal refusal = { 0 };
    struct account *a;
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = own_valid_account(g, call, name, nonce);
    if (!a)
        return;
    r = check_fetch(&a->row.acme, nonce, url, &refusal);
    if (r == REFUSED)
        admin_error_refusal(call, "url", &refusal);
    else if (r)
        admin_error_busy(call);
    else
        own_sign(
            g, call, a,
            &(struct own_params){ .nonce = nonce, .url = url, .payload = "" });
}

/*
 * Names that records stand for, and no others: this is no way around policy. A
 * record that is not wildcard now may have been, and left an authorization: it
 * is looked for while nobody can use it, which is while the name is denied.
 * False: it was answered.
 */
static bool has_record(struct guardian *g, struct varlink_call *call,
                       const char *account, const char *domain, bool wildcard)
{
    bool found = false;
    bool is_wildcard = false;

    if (store_record_has(g->store, account, domain, &found, &is_wildcard))
        admin_error_busy(call);
    else if (!found)
        admin_error_value(call, "domain", "has no record of this account here");
    else if (wildcard && !is_wildcard && !denied_has(g->policy, domain))
        admin_error_value(call, "wildcard",
                          "is for a domain that has a wildcard record of this "
                          "account here, or that is denied (NameDeny)");
    else
        return true;
    return false;
}

static void sign_order(struct guardian *g, struct varlink_call *call,
                       struct account *a, const char *nonce, const char *name)
{
    CLEANUP_BUF struct buf payload = { 0 };
    struct identifier id = { .type = IDENTIFIER_DNS,
                             .value = params_borrow(name) };
    const struct identifiers ids = { &id, 1 };

    if (buf_printf(&payload,
                   "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}",
                   name)) {
        admin_error_busy(call);
        return;
    }
    own_sign(g, call, a,
             &(struct own_params){ .nonce = nonce,
                                   .url = a->row.acme.directory.new_order,
                                   .payload = buf_str(&payload),
                                   .identifiers = &ids });
}

ADMIN_METHOD(admin_on_account_sign_order)
{
    CLEANUP_BUF struct buf full = { 0 };
    struct guardian *g = userdata;
    const char *name = "";
    const char *nonce = "";
    const char *domain = "";
    bool wildcard = false;
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "domain", PARAM_STRING, false, { .string = &domain } },
        { "wildcard", PARAM_BOOL, false, { .flag = &wildcard } },
    };
    struct refusal refusal = { 0 };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = own_valid_account(g, call, name, nonce);
    if (!a)
        return;
    if (dns_name_check(bytes_from_str(domain), false, &refusal)) {
        admin_error_refusal(call, "domain", &refusal);
        return;
    }
    if (!has_record(g, call, name, domain, wildcard))
        return;
    if (buf_printf(&full, "%s%s", wildcard ? "*." : "", domain))
        admin_error_busy(call);
    else
        sign_order(g, call, a, nonce, buf_str(&full));
}

ADMIN_METHOD(admin_on_account_sign_authorization_deactivation)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *nonce = "";
    const char *url = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "url", PARAM_STRING, false, { .string = &url } },
    };
    struct refusal refusal = { 0 };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = own_valid_account(g, call, name, nonce);
    if (!a)
        return;
    if (authorization_url_check(url, &a->row.acme, &refusal))
        admin_error_refusal(call, "url", &refusal);
    else
        own_sign(
            g, call, a,
            &(struct own_params){ .nonce = nonce,
                                  .url = url,
                                  .payload = "{\"status\":\"deactivated\"}" });
}
