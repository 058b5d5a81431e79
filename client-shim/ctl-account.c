/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"

/* guardianctl account ...; what talks to the CA is in ctl-register.c. */

static const char *yes(bool b)
{
    return b ? "yes" : NULL;
}

static void account_pairs(struct ctl_table *t, const json_t *a)
{
    const char *text = ctl_string(a, "statusText");
    char generation[32];

    (void)snprintf(generation, sizeof(generation), "%lld",
                   ctl_integer(a, "generation"));
    ctl_table_pair(t, "account", ctl_string(a, "name"));
    ctl_table_pair(t, "status", ctl_string(a, "status"));
    ctl_table_pair(t, "status text", text && *text ? text : NULL);
    ctl_table_pair(t, "suspended", yes(ctl_true(a, "suspended")));
    ctl_table_pair(t, "directory", ctl_string(a, "directory"));
    ctl_table_pair(t, "url", ctl_string(a, "url"));
    ctl_table_pair(t, "algorithm", ctl_string(a, "alg"));
    ctl_table_pair(t, "thumbprint", ctl_string(a, "thumbprint"));
    ctl_table_pair(t, "token", ctl_string(a, "token"));
    ctl_table_pair(t, "key", ctl_string(a, "keyLabel"));
    ctl_table_pair(t, "generation", generation);
    ctl_table_pair(t, "key in",
                   ctl_true(a, "software") ? "encrypted software, not an HSM"
                                           : NULL);
    ctl_table_pair_list(t, "key proven", json_object_get(a, "attributes"));
    ctl_table_pair_list(t, "key unproven", json_object_get(a, "unproven"));
    ctl_table_pair(t, "created", ctl_string(a, "created"));
    ctl_table_pair(t, "registered", ctl_string(a, "registered"));
    ctl_table_pair_list(t, "contacts", json_object_get(a, "contacts"));
    ctl_table_pair_list(t, "origins", json_object_get(a, "origins"));
    ctl_table_pair_list(t, "challenge members",
                        json_object_get(a, "challengeMembers"));
    ctl_table_pair(t, "allow query", yes(ctl_true(a, "allowQuery")));
    ctl_table_pair(t, "allow http", yes(ctl_true(a, "allowHttpLoopback")));
}

static void endpoint_pairs(struct ctl_table *t, const json_t *e)
{
    static const char *const names[] = { "newNonce",   "newAccount",
                                         "newOrder",   "newAuthz",
                                         "revokeCert", "keyChange",
                                         "renewalInfo" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ctl_table_pair(t, names[i], ctl_string(e, names[i]));
}

int ctl_account_print(const struct ctl_context *c, json_t *answer)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };

    if (c->json) {
        ctl_print_json(json_incref(answer));
        return CTL_EXIT_DONE;
    }
    account_pairs(&t, json_object_get(answer, "account"));
    endpoint_pairs(&t, json_object_get(answer, "endpoints"));
    return ctl_table_print(&t);
}

/* A repeated option as an array of strings; NULL when it was not given. */
static json_t *option_list(const struct ctl_context *c, const char *option)
{
    size_t n = ctl_args_count(c, option);
    json_t *list = n ? json_array() : NULL;

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list,
                                    json_string(ctl_args_nth(c, option, i)));
    return list;
}

static json_t *option_true(const struct ctl_context *c, const char *option)
{
    return ctl_args_has(c, option) ? json_true() : NULL;
}

static int create_parameters(const struct ctl_context *c, json_t **ret)
{
    const char *alg = ctl_args_value(c, "--alg");
    struct errmsg err = { 0 };
    uint64_t bits = 0;
    int r;

    r = ctl_args_uint(c, "--rsa-bits", 2048, 4096, &bits, &err);
    if (r)
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (bits && (!alg || strcmp(alg, "RS256") != 0))
        return ctl_fail(CTL_EXIT_USAGE, "--rsa-bits goes with --alg RS256");
    *ret = json_pack("{s:s, s:s, s:s, s:s, s:o*, s:s*, s:o*, s:o*, s:o*, s:o*}",
                     "name", c->operands[0], "token",
                     ctl_args_value(c, "--token"), "alg", alg ? alg : "ES256",
                     "directory", ctl_args_value(c, "--directory"), "rsaBits",
                     bits ? json_integer((json_int_t)bits) : NULL,
                     "existingKey", ctl_args_value(c, "--existing-key"),
                     "origins", option_list(c, "--origin"), "challengeMembers",
                     option_list(c, "--challenge-member"), "allowQuery",
                     option_true(c, "--allow-query"), "allowHttpLoopback",
                     option_true(c, "--allow-http-loopback"));
    return 0;
}

static int run_create(struct ctl_context *c)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *answer = NULL;
    json_t *parameters = NULL;
    int r;

    r = create_parameters(c, &parameters);
    if (r)
        return r;
    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r) {
        json_decref(parameters);
        return r;
    }
    r = ctl_daemon_call_within(&d, "AccountCreate", parameters,
                               CTL_CALL_KEYGEN_MS, &answer);
    return r ? r : ctl_account_print(c, answer);
}

static void list_row(struct ctl_table *t, const json_t *a)
{
    CTL_TABLE_ROW(t, ctl_string(a, "name"),
                  ctl_true(a, "suspended") ? "suspended"
                                           : ctl_string(a, "status"),
                  ctl_string(a, "alg"), ctl_string(a, "token"),
                  ctl_string(a, "thumbprint"), ctl_string(a, "url"),
                  ctl_string(a, "directory"));
}

static int print_list(const json_t *accounts)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 7 };

    if (json_array_size(accounts) == 0) {
        (void)puts("no accounts");
        return CTL_EXIT_DONE;
    }
    CTL_TABLE_ROW(&t, "NAME", "STATUS", "ALG", "TOKEN", "THUMBPRINT", "URL",
                  "DIRECTORY");
    for (size_t i = 0; i < json_array_size(accounts); i++)
        list_row(&t, json_array_get(accounts, i));
    return ctl_table_print(&t);
}

static int take_page(json_t *items, void *userdata)
{
    return json_array_extend(userdata, items) < 0
               ? ctl_fail_errno(-ENOMEM, "accounts")
               : CTL_EXIT_DONE;
}

static int ask_list(struct ctl_context *c, json_t **ret)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *accounts = json_array();
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r == 0)
        r = ctl_daemon_pages(&d, "AccountList", json_object(), "accounts",
                             take_page, accounts);
    if (r == 0)
        *ret = json_pack("{s:O}", "accounts", accounts);
    return r;
}

static int run_list(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    if (ctl_args_has(c, "--mine"))
        r = ctl_once(c, CTL_SOCKET_CLIENT, "ListAccounts", json_object(),
                     &answer);
    else
        r = ask_list(c, &answer);
    if (r)
        return r;
    if (!c->json)
        return print_list(json_object_get(answer, "accounts"));
    ctl_print_json(json_incref(answer));
    return CTL_EXIT_DONE;
}

static int run_show(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "AccountShow",
                 json_pack("{s:s}", "name", c->operands[0]), &answer);
    return r ? r : ctl_account_print(c, answer);
}

static const struct ctl_option create_options[] = {
    { "--directory", "URL", "the CA's directory", 0, true, false },
    { "--token", "NAME", "[Token NAME] of guardian.conf", 0, true, false },
    { "--alg", "ALG", "ES256 (the default), ES384, RS256 or EdDSA", 0, false,
      false },
    { "--rsa-bits", "BITS", "2048, 3072 or 4096, with --alg RS256", 0, false,
      false },
    { "--existing-key", "URI", "take this key (RFC 7512) instead of a new one",
      0, false, false },
    { "--origin", "URL", "another origin that the CA uses", 0, false, true },
    { "--challenge-member", "NAME", "may stand in a challenge's payload", 0,
      false, true },
    { "--allow-query", NULL, "the CA's URLs may have a query", 0, false,
      false },
    { "--allow-http-loopback", NULL, "plain http to a loopback address", 0,
      false, false },
    { 0 },
};

static const struct ctl_option list_options[] = {
    { "--mine", NULL, "those that the caller may use, from the client socket",
      0, false, false },
    { 0 },
};

const struct ctl_command ctl_account_commands[] = {
    { "account create", "NAME", 1, 1, create_options,
      "make a key on a token and an account that is not registered yet",
      run_create },
    { "account register", "NAME", 1, 1, ctl_register_options,
      "register an account at its CA", ctl_register_run },
    { "account list", NULL, 0, 0, list_options, "all accounts", run_list },
    { "account show", "NAME", 1, 1, NULL, "everything about an account",
      run_show },
    { "account deactivate", "NAME", 1, 1, ctl_deactivate_options,
      "deactivate an account at its CA, for ever",
      ctl_register_run_deactivate },
    { 0 },
};
