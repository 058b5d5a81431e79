/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/acme-guardian-call.h"

/* Accounts: each owns its JSON object, which its strings point into. */

struct result_account {
    struct guardian_account shown;
    json_t *object;
    char *jwk;
};

struct result_accounts {
    struct guardian_accounts shown;
    struct guardian_account *items[];
};

static void account_free(struct result_account *a)
{
    if (!a)
        return;
    json_decref(a->object);
    free(a->jwk);
    free(a);
}
DEFINE_CLEANUP(struct result_account *, account_free)

void guardian_account_free(struct guardian_account *account)
{
    account_free((struct result_account *)account);
}

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int account_new(json_t *object, struct guardian_account **ret,
                       struct guardian_error **ret_error)
{
    CLEANUP(account_free_p) struct result_account *a = NULL;
    const json_t *jwk = json_object_get(object, "jwk");
    const struct guardian_account *g;

    a = calloc(1, sizeof(*a));
    if (!a)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    g = &a->shown;
    a->object = json_incref(object);
    if (!json_is_object(jwk))
        return error_no_answer(ret_error);
    a->jwk = json_dumps(jwk, JSON_COMPACT);
    if (!a->jwk)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    a->shown = (struct guardian_account){
        .name = text(object, "name"),
        .directory = text(object, "directory"),
        .url = text(object, "url"),
        .alg = text(object, "alg"),
        .jwk = a->jwk,
        .thumbprint = text(object, "thumbprint"),
        .status = text(object, "status"),
    };
    if (!g->name || !g->directory || !g->alg || !g->thumbprint || !g->status)
        return error_no_answer(ret_error);
    *ret = (struct guardian_account *)TAKE_PTR(a);
    return GUARDIAN_OK;
}

int guardian_get_account(struct guardian *g, const char *account,
                         struct guardian_account **ret,
                         struct guardian_error **ret_error)
{
    CLEANUP(params_deinit) struct params p = { 0 };
    CLEANUP_JSON json_t *answer = NULL;
    int r;

    if (!g || !ret)
        return error_local(ret_error, GUARDIAN_E_ARGUMENT, 0, NULL);
    params_add(&p, "account", account);
    r = params_call(&p, g, "GetAccount", &answer, ret_error);
    if (r)
        return r;
    return account_new(json_object_get(answer, "account"), ret, ret_error);
}

static void accounts_free(struct result_accounts *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->shown.n; i++)
        guardian_account_free(all->items[i]);
    free(all);
}
DEFINE_CLEANUP(struct result_accounts *, accounts_free)

void guardian_accounts_free(struct guardian_accounts *accounts)
{
    accounts_free((struct result_accounts *)accounts);
}

static int accounts_new(const json_t *array, struct guardian_accounts **ret,
                        struct guardian_error **ret_error)
{
    CLEANUP(accounts_free_p) struct result_accounts *all = NULL;
    size_t n = json_array_size(array);
    struct guardian_accounts *shown;

    if (!json_is_array(array))
        return error_no_answer(ret_error);
    all = calloc(1, sizeof(*all) + n * sizeof(struct guardian_account *));
    if (!all)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    shown = &all->shown;
    shown->items = (const struct guardian_account *const *)all->items;
    while (shown->n < n) {
        int r = account_new(json_array_get(array, shown->n),
                            &all->items[shown->n], ret_error);

        if (r)
            return r;
        shown->n++;
    }
    *ret = (struct guardian_accounts *)TAKE_PTR(all);
    return GUARDIAN_OK;
}

int guardian_list_accounts(struct guardian *g, struct guardian_accounts **ret,
                           struct guardian_error **ret_error)
{
    CLEANUP(params_deinit) struct params p = { 0 };
    CLEANUP_JSON json_t *answer = NULL;
    int r;

    if (!g || !ret)
        return error_local(ret_error, GUARDIAN_E_ARGUMENT, 0, NULL);
    r = params_call(&p, g, "ListAccounts", &answer, ret_error);
    if (r)
        return r;
    return accounts_new(json_object_get(answer, "accounts"), ret, ret_error);
}
