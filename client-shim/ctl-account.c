/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-account.h"

#include <errno.h>
#include <string.h>

#include "client-shim/adopt.h"
#include "client-shim/ctl-move.h"
#include "client-shim/ctl-print.h"

/* guardianctl account ...: the table, and what only asks the daemon. */

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

static int directory_option(const struct ctl_context *c, const char **ret)
{
    const char *ca = ctl_args_value(c, "--ca");
    const char *url = ctl_args_value(c, "--directory");

    if (!ca == !url)
        return ctl_fail(CTL_EXIT_USAGE,
                        "account create needs --ca NAME, or --directory URL");
    *ret = ca ? ctl_known_directory(ca) : url;
    if (!*ret)
        return ctl_fail(CTL_EXIT_USAGE,
                        "%s: no CA of that name (guardianctl ca list), and no "
                        "URL",
                        ca);
    return CTL_EXIT_DONE;
}

static int create_parameters(const struct ctl_context *c, json_t **ret)
{
    const char *directory = NULL;
    const char *alg = ctl_args_value(c, "--alg");
    struct errmsg err = { 0 };
    uint64_t bits = 0;
    int r;

    r = ctl_args_uint(c, "--rsa-bits", 2048, 4096, &bits, &err);
    if (r)
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (bits && (!alg || strcmp(alg, "RS256") != 0))
        return ctl_fail(CTL_EXIT_USAGE, "--rsa-bits goes with --alg RS256");
    r = directory_option(c, &directory);
    if (r)
        return r;
    *ret =
        json_pack("{s:s, s:s, s:s, s:s, s:o*, s:s*, s:o*, s:o*, s:o*, s:o*}",
                  "name", c->operands[0], "token", ctl_args_value(c, "--token"),
                  "alg", alg ? alg : "ES256", "directory", directory, "rsaBits",
                  bits ? json_integer((json_int_t)bits) : NULL, "existingKey",
                  ctl_args_value(c, "--existing-key"), "origins",
                  option_list(c, "--origin"), "challengeMembers",
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

static int take_page(json_t *items, void *userdata)
{
    return json_array_extend(userdata, items) < 0
               ? ctl_fail_errno(-ENOMEM, "accounts")
               : CTL_EXIT_DONE;
}

int ctl_account_all(struct ctl_daemon *d, json_t **ret)
{
    CLEANUP_CTL_JSON json_t *all = json_array();
    int r;

    r = ctl_daemon_pages(d, "AccountList", json_object(), "accounts", take_page,
                         all);
    if (r == 0)
        *ret = json_incref(all);
    return r;
}

static int list_all(const struct ctl_context *c, json_t **ret)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *all = NULL;
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r == 0)
        r = ctl_account_all(&d, &all);
    if (r == 0)
        *ret = json_pack("{s:O}", "accounts", all);
    return r;
}

static int run_list(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_args_has(c, "--mine")
            ? ctl_once(c, CTL_SOCKET_CLIENT, "ListAccounts", json_object(),
                       &answer)
            : list_all(c, &answer);
    if (r)
        return r;
    if (!c->json)
        return ctl_account_print_list(json_object_get(answer, "accounts"));
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
    { "--ca", "NAME", "a CA that ca list shows, or its directory's URL", 0,
      false, false },
    { "--directory", "URL", "the CA's directory", 0, false, false },
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
    { "account adopt", "NAME PATH", 2, 2, ctl_adopt_options,
      "take over an account that another client registered", ctl_adopt_run },
    { "account register", "NAME", 1, 1, ctl_register_options,
      "register an account at its CA", ctl_register_run },
    { "account update", "NAME", 1, 1, ctl_update_options,
      "change what the CA knows of an account", ctl_update_run },
    { "account prove", "NAME", 1, 1, ctl_prove_options,
      "ask the CA whether the account is ours", ctl_prove_run },
    { "account directory", "NAME", 1, 1, ctl_directory_options,
      "read the CA's directory again", ctl_directory_run },
    { "account issuers", "NAME [ISSUER...]", 1, 17, ctl_issuers_options,
      "issuer names of a CA that ca list does not show", ctl_issuers_run },
    { "account list", NULL, 0, 0, list_options, "all accounts", run_list },
    { "account show", "NAME", 1, 1, NULL, "everything about an account",
      run_show },
    { "account move", "NAME", 1, 1, ctl_move_options,
      "a new account at the CA takes its place", ctl_move_run },
    { "account deactivate", "NAME", 1, 1, ctl_deactivate_options,
      "deactivate an account at its CA, for ever",
      ctl_register_run_deactivate },
    { 0 },
};
