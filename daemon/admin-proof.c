/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/known-cas.h"
#include "daemon/admin-call.h"
#include "daemon/params.h"
#include "daemon/record-rules.h"

/*
 * Whose the account is: what came of asking the CA with our key (design section
 * 10), and the issuer names that an operator types for a CA that the table of
 * known ones does not list.
 */

#define ISSUERS_MAX 16
#define REASON_MAX 64
#define TEXT_MAX 400

/* False: it was answered. */
static bool check_issuer(struct varlink_call *call,
                         const struct store_account *row, const char *issuer)
{
    char text[256];

    switch (known_issuer_check(issuer, row->acme.directory_url)) {
    case KNOWN_ISSUER_OK:
    case KNOWN_ISSUER_UNTABLED:
        return true;
    case KNOWN_ISSUER_MISMATCH:
        (void)snprintf(text, sizeof(text),
                       "issuer-origin-mismatch: the directory %.150s is not "
                       "that CA's",
                       row->acme.directory_url);
        admin_error(call, "IssuerMismatch",
                    json_pack("{s:s,s:s}", "issuer", issuer, "text", text));
        return false;
    case KNOWN_ISSUER_UNSET:
        break;
    }
    admin_error_value(call, "issuers",
                      "are the CA's CAA issuer names: host names in lower "
                      "case");
    return false;
}

static bool check_issuers(struct varlink_call *call,
                          const struct store_account *row)
{
    for (char **issuer = row->issuers; issuer && *issuer; issuer++) {
        if (!check_issuer(call, row, *issuer))
            return false;
        for (char **other = row->issuers; other < issuer; other++) {
            if (strcmp(*other, *issuer) == 0) {
                admin_error_value(call, "issuers", "are named once each");
                return false;
            }
        }
    }
    return true;
}

static int join(char *const *list, struct buf *b)
{
    int r = 0;

    for (; r == 0 && list && *list; list++)
        r = buf_printf(b, "%s%s", b->len ? " " : "", *list);
    return r;
}

ADMIN_METHOD(admin_on_account_set_issuers)
{
    CLEANUP_FREE char **list = NULL;
    CLEANUP_BUF struct buf detail = { 0 };
    struct guardian *g = userdata;
    const char *name = "";
    const json_t *issuers = NULL;
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "issuers", PARAM_STRINGS, false, { .json = &issuers } },
    };
    struct store_account row;
    struct account *a;
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, name);
    if (!a)
        return;
    r = admin_borrow_list(issuers, ISSUERS_MAX, &list);
    if (r == -E2BIG) {
        admin_error_value(call, "issuers", "are at most 16");
        return;
    }
    row = a->row;
    row.issuers = list;
    if (r == 0 && !check_issuers(call, &row))
        return;
    if (r || join(list, &detail)) {
        admin_error_busy(call);
        return;
    }
    if (admin_begin(g, call,
                    &(struct admin_subject){ .account = name,
                                             .detail = buf_str(&detail) }))
        admin_update_account(g, call, a, &row);
}

/* What was proven must be what is true of the account now. */
static bool check_proof(struct varlink_call *call, const struct account *a,
                        const char *url, const char *thumbprint)
{
    const struct acme_account *acme = &a->row.acme;

    if (a->unresolved || a->row.status != ACCOUNT_VALID || !acme->account_url)
        admin_error_state(call, account_status_name(account_status(a)),
                          "only a valid account can be proven");
    else if (strcmp(url, acme->account_url) != 0)
        admin_error_value(call, "url", "is not the account's");
    else if (strcmp(thumbprint, acme->thumbprint) != 0)
        admin_error_value(call, "thumbprint", "is not the account's now");
    else
        return true;
    return false;
}

ADMIN_METHOD(admin_on_account_proven)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *url = "";
    const char *thumbprint = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "url", PARAM_STRING, false, { .string = &url } },
        { "thumbprint", PARAM_STRING, false, { .string = &thumbprint } },
    };
    struct store_account row;
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, name);
    if (!a || !check_proof(call, a, url, thumbprint))
        return;
    row = a->row;
    row.proof_url = row.acme.account_url;
    row.proof_thumbprint = row.acme.thumbprint;
    row.proof_s = time(NULL);
    row.must_ask = false;
    row.unproven_reason = NULL;
    row.unproven_text = NULL;
    row.unproven_s = 0;
    if (admin_begin(g, call,
                    &(struct admin_subject){ .account = name, .detail = url }))
        admin_update_account(g, call, a, &row);
}

static bool is_code(const char *s)
{
    size_t n = strlen(s);

    return n >= 1 && n <= REASON_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

ADMIN_METHOD(admin_on_account_not_proven)
{
    struct guardian *g = userdata;
    const char *name = "";
    const char *reason = "";
    const char *text = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "reason", PARAM_STRING, false, { .string = &reason } },
        { "text", PARAM_STRING, false, { .string = &text } },
    };
    struct store_account row;
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, name);
    if (!a)
        return;
    if (!is_code(reason)) {
        admin_error_value(call, "reason", "is 1 to 64 of a-z 0-9 -");
        return;
    }
    if (strlen(text) > TEXT_MAX) {
        admin_error_value(call, "text", "is at most 400 octets");
        return;
    }
    row = a->row;
    row.proof_url = NULL;
    row.proof_thumbprint = NULL;
    row.proof_s = 0;
    row.unproven_reason = params_borrow(reason); /* only copied from */
    row.unproven_text = params_borrow(text);
    row.unproven_s = time(NULL);
    /* It only takes away: an audit log that is full must not prevent it. */
    admin_note(g, call,
               &(struct admin_subject){ .account = name, .detail = reason });
    admin_update_account(g, call, a, &row);
}
