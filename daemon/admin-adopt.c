/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/params.h"

/*
 * AccountAdopt: an account that another client registered. Its row has the old
 * key's public part until the CA has switched to one that is born on a token
 * here; until then nothing is signed for anybody. Asked again, it goes on with
 * what is there.
 */

struct adopt {
    const char *name, *token, *alg, *directory, *url;
    const json_t *old_key, *origins, *challenge_members;
    int64_t rsa_bits;
    bool allow_query, allow_http_loopback, new_account;
};

static bool read_old_key(struct varlink_call *call, const struct adopt *p,
                         struct store_account *row)
{
    struct refusal refusal = { 0 };
    int r = jwk_read(p->old_key, &row->acme.jwk, &refusal);

    if (r == 0)
        r = jwk_thumbprint_text(&row->acme.jwk, row->acme.thumbprint);
    if (r == REFUSED)
        admin_error_refusal(call, "oldKey", &refusal);
    else if (r)
        admin_error_busy(call);
    return r == 0;
}

/* One account has one row, and one key one account. */
static bool is_free(const struct guardian *g, struct varlink_call *call,
                    const struct store_account *row)
{
    for (size_t i = 0; i < g->accounts.n; i++) {
        const struct acme_account *acme = &g->accounts.items[i]->row.acme;
        bool url = acme->account_url &&
                   strcmp(acme->account_url, row->acme.account_url) == 0;
        char text[96];

        if (strcmp(acme->name, row->acme.name) == 0 ||
            (!url && !jwk_eq(&acme->jwk, &row->acme.jwk)))
            continue;
        (void)snprintf(text, sizeof(text), "is that of account %s", acme->name);
        admin_error_value(call, url ? "url" : "oldKey", text);
        return false;
    }
    return true;
}

static bool read_row(const struct guardian *g, struct varlink_call *call,
                     const struct adopt *p, struct store_account *row)
{
    struct refusal refusal = { 0 };

    if (!settings_name_ok(p->name)) {
        admin_error_value(call, "name", "is 1 to 32 of a-z 0-9 . _ -");
        return false;
    }
    row->acme.name = params_borrow(p->name);
    row->acme.directory_url = params_borrow(p->directory);
    row->acme.account_url = params_borrow(p->url);
    row->acme.allow_query = p->allow_query;
    row->acme.allow_http_loopback = p->allow_http_loopback;
    row->token = params_borrow(p->token);
    row->key_label = params_borrow("");
    row->status = ACCOUNT_ADOPTING;
    row->created_s = row->registered_s = time(NULL);
    if (admin_account_check_draft(&row->acme, &refusal)) {
        admin_error_refusal(call, "directory", &refusal);
        return false;
    }
    return read_old_key(call, p, row) && is_free(g, call, row);
}

/* What is there of an earlier call: the same account with the same key. */
static bool is_same(const struct account *a, const struct store_account *row)
{
    const struct acme_account *acme = &a->row.acme;

    return a->row.status == ACCOUNT_ADOPTING &&
           strcmp(acme->account_url, row->acme.account_url) == 0 &&
           strcmp(acme->directory_url, row->acme.directory_url) == 0 &&
           jwk_eq(&acme->jwk, &row->acme.jwk);
}

/* An adoption that was aborted leaves a row behind, which the next one takes.
 */
static int put_row(struct guardian *g, struct account *a,
                   const struct store_account *row, struct account **ret)
{
    struct store_account next = *row;

    if (!a)
        return accounts_add(g, row, ret);
    next.generation = a->row.generation;
    next.created_s = a->row.created_s;
    if (is_same(a, row)) {
        next.acme.directory = a->row.acme.directory;
        next.meta = a->row.meta;
        next.meta_known = a->row.meta_known;
    }
    *ret = a;
    return accounts_update(g, a, &next);
}

static void adopt(struct guardian *g, struct varlink_call *call,
                  struct account *a, const struct store_account *row,
                  const struct store_rotation *wishes)
{
    int r;

    if (!admin_begin(
            g, call,
            &(struct admin_subject){ .account = row->acme.name,
                                     .detail = row->acme.account_url }))
        return;
    r = put_row(g, a, row, &a);
    if (r == 0)
        r = rotation_plan(g, a, wishes, varlink_call_peer(call));
    if (r)
        admin_rotation_error(call, r);
    else
        admin_reply_account(call, a);
}

static void begin(struct guardian *g, struct varlink_call *call,
                  const struct adopt *p, struct store_account *row,
                  struct store_rotation *wishes)
{
    struct account *a;

    if (!read_row(g, call, p, row) ||
        !admin_read_key_kind(call, p->alg, p->rsa_bits, wishes))
        return;
    wishes->kind = p->new_account ? ROTATION_KIND_MOVE : ROTATION_KIND_ADOPT;
    wishes->new_token = row->token;
    a = accounts_find(&g->accounts, p->name);
    if (!a || (a->row.status == ACCOUNT_ADOPTING && !rotate_is_active(a)))
        adopt(g, call, a, row, wishes);
    else if (is_same(a, row))
        admin_reply_account(call, a);
    else
        admin_error(call, "AccountExists", json_pack("{s:s}", "name", p->name));
}

ADMIN_METHOD(admin_on_account_adopt)
{
    struct guardian *g = userdata;
    struct store_account row = { 0 };
    struct store_rotation wishes = { .cache_s = ROTATION_CACHE_S };
    struct adopt p = {
        .name = "", .token = "", .alg = "", .directory = "", .url = ""
    };
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &p.name } },
        { "token", PARAM_STRING, false, { .string = &p.token } },
        { "alg", PARAM_STRING, false, { .string = &p.alg } },
        { "rsaBits", PARAM_NUMBER, true, { .number = &p.rsa_bits } },
        { "directory", PARAM_STRING, false, { .string = &p.directory } },
        { "url", PARAM_STRING, false, { .string = &p.url } },
        { "oldKey", PARAM_OBJECT, false, { .json = &p.old_key } },
        { "newAccount", PARAM_BOOL, true, { .flag = &p.new_account } },
        { "cacheTime", PARAM_NUMBER, true, { .number = &wishes.cache_s } },
        { "origins", PARAM_STRINGS, true, { .json = &p.origins } },
        { "challengeMembers",
          PARAM_STRINGS,
          true,
          { .json = &p.challenge_members } },
        { "allowQuery", PARAM_BOOL, true, { .flag = &p.allow_query } },
        { "allowHttpLoopback",
          PARAM_BOOL,
          true,
          { .flag = &p.allow_http_loopback } },
    };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    if (!guardian_token(g, p.token))
        admin_error_no_token(call, p.token);
    else if (wishes.cache_s > ROTATION_CACHE_MAX_S)
        admin_error_value(call, "cacheTime", "is at most 30 seconds");
    else if (admin_borrow_list(p.origins, ACME_ORIGINS_MAX, &row.acme.origins))
        admin_error_value(call, "origins", "are too many");
    else if (admin_borrow_list(p.challenge_members, ACME_CHALLENGE_MEMBERS_MAX,
                               &row.acme.challenge_members))
        admin_error_value(call, "challengeMembers", "are too many");
    else
        begin(g, call, &p, &row, &wishes);
    free(row.acme.origins);
    free(row.acme.challenge_members);
}
